import { describeError, KcError, StoreError } from "@kc/core";
import {
  classifySdkError,
  permanentFailure,
  retryableFailure,
  type StoreFailure,
} from "@kc/core/adapter";
import { loggable } from "./driver-error.ts";

const RIGHTS = "give this user the commands and keys that the README of @kc/store-redis lists";

/** The first word of Redis's own errors, and what each means for the store. */
export const REPLY_CODES: readonly (readonly [string, StoreFailure])[] = [
  [
    "READONLY",
    retryableFailure(
      "this server is a replica: a failover is under way, or the address is wrong. A client that " +
        "was passed in follows a failover only with `reconnectOnError`",
    ),
  ],
  [
    "MOVED",
    retryableFailure("the cluster moved the slot; a client that is no Cluster cannot follow"),
  ],
  ["ASK", retryableFailure("the cluster is moving the slot")],
  ["TRYAGAIN", retryableFailure("the cluster is moving the slot")],
  ["CLUSTERDOWN", retryableFailure("the cluster does not serve all of its slots")],
  ["LOADING", retryableFailure("the server is reading its data from the disk")],
  ["MASTERDOWN", retryableFailure("this replica has lost its master")],
  ["BUSY", retryableFailure("another script has blocked the server for seconds")],
  ["OOM", retryableFailure("the server is at its maxmemory: make room")],
  [
    "MISCONF",
    retryableFailure("the server cannot write to its disk, and refuses writes: see its log"),
  ],
  ["NOREPLICAS", retryableFailure("the server has fewer replicas than it was told to write with")],
  ["NOSCRIPT", retryableFailure("the scripts were flushed more than once during the call")],
  ["UNBLOCKED", retryableFailure("the server ended the call because it became a replica")],
  ["NOAUTH", permanentFailure("STORE_ACCESS_DENIED", "the server requires a password")],
  ["WRONGPASS", permanentFailure("STORE_ACCESS_DENIED", "the user or the password is wrong")],
  ["NOPERM", permanentFailure("STORE_ACCESS_DENIED", RIGHTS)],
  ["DENIED", permanentFailure("STORE_ACCESS_DENIED", "the server refuses connections from here")],
  [
    "WRONGTYPE",
    permanentFailure(
      "STORE_SCHEMA",
      "a key of ours holds something else: use a keyPrefix, or delete it",
    ),
  ],
  [
    "CROSSSLOT",
    permanentFailure(
      "STORE_FAILED",
      "the keys of a call are in several slots, and the client did not say that the server is a cluster: hand in " +
        "a Cluster client, or give the store a keyPrefix with a hash tag, and a handler's keys the same one: tx.key(name)",
    ),
  ],
];
const BY_CODE = new Map(REPLY_CODES);

/** Errors of a server that is not the primary, or not the current one. */
export const NOT_PRIMARY: ReadonlySet<string> = new Set([
  "READONLY",
  "MASTERDOWN",
  "NOREPLICAS",
  "UNBLOCKED",
]);

/** Texts of errors of Redis and `ioredis` without a code of their own. The first match counts. */
export const MESSAGES: readonly (readonly [RegExp, StoreFailure])[] = [
  [/max number of clients/i, retryableFailure("the server has its maximum number of clients")],
  [
    /can't run this command or subcommand|permission/i,
    permanentFailure("STORE_ACCESS_DENIED", RIGHTS),
  ],
  [
    /invalid password|without any password configured/i,
    permanentFailure("STORE_ACCESS_DENIED", "the user or the password is wrong"),
  ],
  [
    /unknown command/i,
    permanentFailure("STORE_FAILED", "the server has disabled a command that the store needs"),
  ],
  [
    /subscriber mode|monitoring mode/i,
    permanentFailure("STORE_FAILED", "hand in a client of normal mode"),
  ],
  [/sentinels are unreachable/i, retryableFailure("no sentinel can be reached")],
  [
    /Connection is closed|Stream isn't writeable|Command aborted|max retries per request/,
    retryableFailure("the connection broke"),
  ],
  [/timed out|Socket timeout/, retryableFailure("the server did not answer in time")],
  [
    /None of startup nodes|refresh slots cache|Cluster isn't ready|Cluster is ended|No subscriber/,
    retryableFailure("no node of the cluster can be reached"),
  ],
  [/Too many Cluster redirections/, retryableFailure("the cluster is being changed")],
  [
    /upstream failure|no (?:healthy )?upstream/i,
    retryableFailure("the proxy in front of the server cannot reach it"),
  ],
];

const UNREACHABLE = retryableFailure("the server cannot be reached");
const UNKNOWN = permanentFailure("STORE_FAILED", "the call failed in a way that is not known here");

/** Whether the server does not have the script, or no longer: it must be sent in full. */
export function isNoScript(error: unknown): boolean {
  return error instanceof Error && replyCode(error.message) === "NOSCRIPT";
}

/** Whether the server is not the primary. A new connection may reach the primary, if the address is a name. */
export function isNotPrimary(error: unknown): boolean {
  return error instanceof Error && NOT_PRIMARY.has(replyCode(error.message) ?? "");
}

/**
 * Converts a driver's error to a StoreError. A KcError is returned as it is.
 * @param where names the server
 * @param refused what the user may not do, if that is the reason
 */
export function toStoreError(error: unknown, where: string, refused?: string): KcError {
  if (KcError.is(error)) return error;
  const { code, retryable, advice } = meaningOf(error);
  const cause = loggable(error);
  const named = advice === RIGHTS && refused !== undefined ? `: it may not ${refused}` : "";
  return new StoreError(code, `${where}: ${advice}${named} (${describeError(cause)})`, {
    retryable,
    cause,
  });
}

function meaningOf(error: unknown): StoreFailure {
  if (!(error instanceof Error)) return UNKNOWN;
  const { lastNodeError } = error as Error & { lastNodeError?: unknown };
  // A cluster's "Failed to refresh slots cache." hides its reason, such as a wrong password.
  if (lastNodeError instanceof Error) return meaningOf(lastNodeError);
  const { message } = error;
  return (
    BY_CODE.get(replyCode(message) ?? "") ??
    MESSAGES.find(([text]) => text.test(message))?.[1] ??
    // Node's codes have the same meaning for every connection.
    (classifySdkError(error) === "transient" ? UNREACHABLE : UNKNOWN)
  );
}

/** The first word of an error. Redis 6 and older wrap a script's errors: `ERR Error running script (…): -OOM …`. */
function replyCode(message: string): string | undefined {
  const inScript = /^ERR Error running script.*?: -?([A-Z]{3,})\b/s.exec(message);
  return (inScript ?? /^-?([A-Z]{3,})\b/.exec(message))?.[1];
}
