import { ConfigError } from "@kc/core";
import { checkBoolean, checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";
import type { RedisClient } from "./driver.ts";
import { hashTag } from "./keys.ts";

/** A URL, or connection options of `ioredis`. Options not named here are passed on to `ioredis`. */
export type RedisConnection =
  | string
  | {
      readonly host?: string;
      readonly port?: number;
      /** A Unix socket. */
      readonly path?: string;
      readonly username?: string;
      readonly password?: string;
      readonly db?: number;
      readonly tls?: object;
      readonly [option: string]: unknown;
    };

/** Options of a `RedisStore`: either `client` or `connection` is required. */
export type RedisStoreOptions = {
  /**
   * The prefix of every key. The Go library has no prefix, so with one its checkpoints are not found. A prefix with a
   * hash tag, such as `{kc}:`, puts all keys into one slot of a cluster. @default ""
   */
  readonly keyPrefix?: string;
  /**
   * The timeout of a round trip, in milliseconds, 1 to 600,000, including the wait for a connection. After it the call
   * rejects with a retryable STORE_UNAVAILABLE. @default 5000
   */
  readonly timeoutMs?: number;
  /**
   * Whether to search for checkpoints of the Go library by SCAN: when an application is read for the first time, after
   * the Go library has written again, and when all known shards have ended. Set it to `false` if the Go library never
   * ran on this database, or if SCAN is not permitted. @default true
   */
  readonly searchForGo?: boolean;
} & (
  | {
      /** A `Redis` or `Cluster` of `ioredis`. You own it: the store never closes it. */
      readonly client: RedisClient;
      readonly connection?: never;
    }
  | {
      /**
       * One server, or its sentinels: `redis://…`, `rediss://…` or options. The store opens one connection,
       * and closes it.
       */
      readonly connection: RedisConnection;
      readonly client?: never;
    }
);

export interface CheckedOptions {
  readonly source: { readonly client: RedisClient } | { readonly connection: RedisConnection };
  readonly keyPrefix: string;
  readonly timeoutMs: number;
  readonly searchForGo: boolean;
}

const OPTION_NAMES = ["client", "connection", "keyPrefix", "timeoutMs", "searchForGo"];
const TIMEOUT = { min: 1, max: 600_000 };

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: RedisStoreOptions): CheckedOptions {
  checkOptionNames("RedisStore", options, OPTION_NAMES);
  const { timeoutMs = 5000, searchForGo = true } = options;
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  checkBoolean("searchForGo", searchForGo);
  return {
    source: checkSource(options),
    keyPrefix: checkKeyPrefix(options.keyPrefix ?? ""),
    timeoutMs,
    searchForGo,
  };
}

function checkSource({ client, connection }: RedisStoreOptions): CheckedOptions["source"] {
  if (client === undefined) return { connection: checkConnection(connection) };
  if (connection !== undefined) {
    throw new ConfigError("connection", "give a connection or a client, not both");
  }
  return { client: checkClient(client) };
}

function checkConnection(connection: RedisConnection | undefined): RedisConnection {
  const isUrl = typeof connection === "string";
  if (isUrl ? !isRedisUrl(connection) : typeof connection !== "object" || connection === null) {
    // The text is not quoted: it may contain a password.
    throw new ConfigError(
      "connection",
      "give a redis:// or rediss:// URL, or options of ioredis; or a client of ioredis",
    );
  }
  const keyPrefix = isUrl
    ? new URL(connection).searchParams.get("keyPrefix")
    : connection?.["keyPrefix"];
  if (keyPrefix) throw new ConfigError("connection", "has a keyPrefix: give that to RedisStore");
  return connection!;
}

function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { username, password } = new URL(text);
  return [username, password].every(isPercentEncoded);
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function checkClient(client: RedisClient): RedisClient {
  const methods = ["call", "pipeline", "connect", "on", "off"];
  checkMethods("client", client, methods, "a Redis or a Cluster of ioredis 5 or 6");
  if (client.options.keyPrefix) {
    // The driver would put it before the hash tags of our keys, which would then be in other slots than Go's keys.
    throw new ConfigError(
      "client",
      "has a keyPrefix: give that to RedisStore instead, with a client without one, such as " +
        '`client.duplicate({ keyPrefix: "" })`',
    );
  }
  return client;
}

function checkKeyPrefix(keyPrefix: unknown): string {
  if (typeof keyPrefix !== "string" || /\p{Surrogate}/u.test(keyPrefix)) {
    throw new ConfigError("keyPrefix", "must be a string of valid text");
  }
  if (/[{}]/.test(keyPrefix) && hashTag(keyPrefix) === undefined) {
    throw new ConfigError(
      "keyPrefix",
      `has braces that are no hash tag, such as {kc}: ${JSON.stringify(keyPrefix)}`,
    );
  }
  return keyPrefix;
}
