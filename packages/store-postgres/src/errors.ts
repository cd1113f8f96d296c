import { describeError, KcError, StoreError } from "@kc/core";
import {
  classifySdkError,
  errorsIn,
  isPassingInLibrary,
  permanentFailure,
  retryableFailure,
  type StoreFailure,
} from "@kc/core/adapter";

const CONNECTION = retryableFailure("the connection to the server failed");
const CREDENTIALS = permanentFailure(
  "STORE_ACCESS_DENIED",
  "the server does not accept these credentials",
);
const CERTIFICATE = permanentFailure(
  "STORE_ACCESS_DENIED",
  "the server's certificate is not trusted: see `ssl`",
);
const DAMAGED = permanentFailure(
  "STORE_CORRUPT",
  "the server says that a table or an index is damaged: restore it, or rebuild the index",
);
const WRONG_TABLE = permanentFailure(
  "STORE_SCHEMA",
  "the tables are missing or are not the store's",
);

/** Postgres's error codes (SQLSTATE), and what each means for the store. */
export const SQLSTATES: readonly (readonly [string, StoreFailure])[] = [
  [
    "22003",
    permanentFailure("STORE_SCHEMA", "a column is too narrow for a sequence number: use numeric"),
  ],
  ["22001", permanentFailure("STORE_SCHEMA", "a column is too narrow for a name: use text")],
  ["23502", WRONG_TABLE],
  ["23514", WRONG_TABLE],
  [
    "25001",
    retryableFailure("a connection of the pool has a transaction that its owner left open"),
  ],
  [
    "25006",
    retryableFailure(
      "this server is read-only: a standby, a failover, or default_transaction_read_only is on",
    ),
  ],
  [
    "25P02",
    retryableFailure("a connection of the pool has a transaction that its owner left open"),
  ],
  ["25P03", retryableFailure("the server ended the session")],
  ["25P04", retryableFailure("the server ended the transaction, which took too long")],
  ["28000", CREDENTIALS],
  ["28P01", CREDENTIALS],
  ["3D000", permanentFailure("STORE_SCHEMA", "there is no such database")],
  ["3F000", permanentFailure("STORE_SCHEMA", "there is no such schema")],
  ["40001", retryableFailure("every attempt conflicted with another transaction")],
  ["40P01", retryableFailure("every attempt conflicted with another transaction")],
  [
    "42501",
    permanentFailure(
      "STORE_ACCESS_DENIED",
      "this user lacks a right, or so does the role that a handler set by SET ROLE: run RESET ROLE before the checkpoint",
    ),
  ],
  ["42P01", WRONG_TABLE],
  ["42P10", WRONG_TABLE],
  ["42703", WRONG_TABLE],
  ["42804", WRONG_TABLE],
  ["42809", WRONG_TABLE],
  ["42883", WRONG_TABLE],
  ["53100", retryableFailure("the server's disk is full: make room")],
  ["53200", retryableFailure("the server is out of memory")],
  ["53300", retryableFailure("the server has too many connections")],
  ["55000", retryableFailure("the server is not ready for this")],
  ["55P03", retryableFailure("another transaction holds a lock")],
  ["57014", retryableFailure("the statement was cancelled, or took too long")],
  ["57P01", retryableFailure("the server ended the connection: it stops, or fails over")],
  ["57P02", retryableFailure("the server crashed and recovers")],
  ["57P03", retryableFailure("the server is starting, stopping or recovering")],
  ["57P05", retryableFailure("the server ended an idle session")],
  ["XX001", DAMAGED],
  ["XX002", DAMAGED],
];

/** Classes of SQLSTATE (its first two characters), for codes that the table above does not name. */
export const CLASSES: readonly (readonly [string, StoreFailure])[] = [
  ["08", CONNECTION],
  ["28", CREDENTIALS],
  ["40", retryableFailure("the transaction was rolled back")],
  ["53", retryableFailure("the server lacks resources")],
  ["57", retryableFailure("an operator intervened on the server")],
  ["58", retryableFailure("the server's operating system reported an error")],
  // Poolers of hosted Postgres use XX000 for everything: no session left, an unreachable server.
  ["XX", retryableFailure("the server, or a pooler in front of it, had an internal error")],
];

/** Node's codes for sockets, names and TLS. */
export const NETWORK_CODES: readonly (readonly [string, StoreFailure])[] = [
  ["EADDRNOTAVAIL", CONNECTION],
  ["EAI_AGAIN", CONNECTION],
  ["ECONNABORTED", CONNECTION],
  ["ECONNREFUSED", CONNECTION],
  ["ECONNRESET", CONNECTION],
  ["EHOSTDOWN", CONNECTION],
  ["EHOSTUNREACH", CONNECTION],
  ["ENETDOWN", CONNECTION],
  ["ENETUNREACH", CONNECTION],
  ["ENOENT", CONNECTION], // a Unix socket whose server is not up
  ["ENOTFOUND", CONNECTION], // a failover moves names too
  ["EPIPE", CONNECTION],
  ["ETIMEDOUT", CONNECTION],
  ["CERT_HAS_EXPIRED", CERTIFICATE],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", CERTIFICATE],
  ["ERR_TLS_CERT_ALTNAME_INVALID", CERTIFICATE],
  ["SELF_SIGNED_CERT_IN_CHAIN", CERTIFICATE],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", CERTIFICATE],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", CERTIFICATE],
];

/**
 * Texts of errors without a telling code. `pg` has no codes for its own errors. PgBouncer uses 08P01 for most of
 * its errors and Supavisor XX000; RDS Proxy documents only texts. So texts take precedence over a code's class.
 */
export const TEXTS: readonly (readonly [RegExp, StoreFailure])[] = [
  [
    /Cannot use a pool after calling end/,
    permanentFailure("STORE_CLOSED", "the pool that was passed in has been ended by its owner"),
  ],
  [/Connection terminated|not queryable|^timeout exceeded|^timeout expired/, CONNECTION],
  [/^Query read timeout/, CONNECTION],
  // The server answered with an error before TLS started: it cannot fork, or is starting up.
  [/^There was an error establishing an SSL connection/, CONNECTION],
  [/^SASL|[Pp]assword must be a string/, CREDENTIALS],
  [
    /waiting to acquire (?:a )?database connection/i,
    retryableFailure("RDS Proxy has no free connection to the server, or cannot reach it"),
  ],
  [
    /^password authentication failed|^Tenant or user not found|^IAM authentication failed|no credentials for the role|requires TLS connections/i,
    CREDENTIALS,
  ],
];

const CONFLICT_OR_CONNECTION = retryableFailure(
  "the transaction conflicted with another one, or the connection was lost",
);
const UNKNOWN = permanentFailure("STORE_FAILED", "the call failed in a way that is not known here");

const BY_SQLSTATE = new Map(SQLSTATES);
const BY_CLASS = new Map(CLASSES);
const BY_NETWORK_CODE = new Map(NETWORK_CODES);
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** The server's SQLSTATE; `undefined` if the error did not come from the server. */
export function sqlState(error: unknown): string | undefined {
  const code = codeOf(error);
  // Node's EPIPE and EPERM have five letters too.
  if (code === undefined || !SQLSTATE.test(code) || BY_NETWORK_CODE.has(code)) return undefined;
  return Object(error).syscall === undefined ? code : undefined;
}

/** Whether the transaction failed by a conflict, so that it can be run again immediately. */
export function isConflict(error: unknown): boolean {
  const code = sqlState(error);
  return code === "40001" || code === "40P01";
}

/** The server has ended the session, or refused to open one. */
const NO_SESSION = /^(?:08...|57P0.|53300|25P0[34])$/;

/** Whether a transaction that failed with this error may succeed if it is run again. */
export function isTransient(error: unknown): boolean {
  for (const each of errorsIn(error)) {
    if (KcError.is(each)) return each.retryable;
    if (isConflict(each) || isPassingInLibrary(each) || isReadOnly(each)) return true;
    const { retryable } = meaningOf(each);
    const state = sqlState(each);
    if (
      state === undefined ? meaningOf(each) === CONNECTION : retryable && NO_SESSION.test(state)
    ) {
      return true;
    }
  }
  return false;
}

/** Whether the server refused a write, because it is a standby or is configured as read-only. */
export function isReadOnly(error: unknown): boolean {
  return errorsIn(error).some((each) => sqlState(each) === "25006");
}

/** Whether there is no table of that name. */
export function isMissingTable(error: unknown): boolean {
  return sqlState(error) === "42P01";
}

/** Whether a call of the store waited for another transaction's lock until `lock_timeout`. */
export function metLock(error: unknown): error is KcError {
  return KcError.is(error) && sqlState(error.cause) === "55P03";
}

/**
 * Whether the connection is reusable after this error. It is not after a connection error, nor if the server has
 * become a standby: a new connection finds the primary.
 */
export function keepsConnection(error: unknown): boolean {
  const code = sqlState(error);
  return code !== undefined && !/^(?:08|25|57P|XX)/.test(code);
}

/**
 * Converts the error of a driver, or of a library around it, to a StoreError. A KcError is returned as it is.
 * @param where names the table
 * @param remedy what to do if the table is missing
 */
export function toStoreError(error: unknown, where: string, remedy: string): KcError {
  if (KcError.is(error)) return error;
  const known = errorsIn(error).find((each) => meaningOf(each) !== UNKNOWN);
  const { code, retryable, advice } = meaningOf(known ?? error);
  const whatToDo = code === "STORE_SCHEMA" && remedy !== "" ? `. ${remedy}` : "";
  return new StoreError(code, `${where}: ${advice} (${describe(error)})${whatToDo}`, {
    retryable,
    cause: error,
  });
}

export function howToSetUp(ddl: string, call = "store.setup()"): string {
  return `Run \`await ${call}\` once, or as the tables' owner:\n${ddl}`;
}

function meaningOf(error: unknown): StoreFailure {
  const state = sqlState(error);
  const text = error instanceof Error ? error.message : "";
  if (isPassingInLibrary(error)) return CONFLICT_OR_CONNECTION;
  return (
    (state === undefined ? BY_NETWORK_CODE.get(codeOf(error) ?? "") : BY_SQLSTATE.get(state)) ??
    TEXTS.find(([pattern]) => pattern.test(text))?.[1] ??
    BY_CLASS.get(state?.slice(0, 2) ?? "") ??
    // Other network errors: no more descriptors, a firewall's refusal, and so on.
    (state === undefined && classifySdkError(error) === "transient" ? CONNECTION : UNKNOWN)
  );
}

function codeOf(error: unknown): string | undefined {
  const { code, originalCode } = Object(error) as { code?: unknown; originalCode?: unknown };
  // Prisma's driver adapters put the code there.
  const given = originalCode ?? code;
  return typeof given === "string" ? given : undefined;
}

function describe(error: unknown): string {
  const code = codeOf(error);
  return code === undefined ? describeError(error) : `${code}: ${describeError(error)}`;
}
