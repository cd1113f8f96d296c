import { ConfigError } from "@kc/core";
import { checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";
import type { PostgresPool } from "./driver.ts";

/** A connection string, or connection options of `pg`. Options not named here are passed on to `pg`. */
export type PostgresConnection =
  | string
  | {
      readonly connectionString?: string;
      readonly host?: string;
      readonly port?: number;
      readonly user?: string;
      readonly password?: string | (() => string | Promise<string>);
      readonly database?: string;
      readonly ssl?: boolean | object;
      readonly [option: string]: unknown;
    };

/** Options of a `PostgresStore`: either `pool` or `connection` is required. */
export type PostgresStoreOptions = {
  /**
   * The checkpoints table, which may be the Go library's: 1 to 50 bytes of letters, digits, `_`, `$`, `-`.
   * It is always quoted, so case matters. Four companion tables have its name with the suffixes `_applications`,
   * `_leases`, `_workers` and `_revisions`. @default "kinesis_consumer"
   */
  readonly table?: string;
  /** The schema that the tables are in. @default the first one of the connection's search_path */
  readonly schema?: string;
  /**
   * The key of this application's rows: 1 to 255 characters, no control characters. A namespace belongs to one
   * application on one stream. @default `{application}-{stream}`, as in the Go library
   */
  readonly namespace?: string;
  /**
   * The timeout of a call, in milliseconds, 100 to 600,000. After it the call rejects with a retryable
   * STORE_UNAVAILABLE, and its connection is closed. @default 5000
   */
  readonly timeoutMs?: number;
  /**
   * The maximum number of concurrent `scanTransaction` transactions, 1 to 1000; others wait. Each holds a
   * connection: one of the store's second pool with `connection`, or one of your `pool`, which needs two more
   * for the store's calls. @default 10, or two fewer than the pool's `max`
   */
  readonly maxTransactions?: number;
  /**
   * How long a handler's transaction may be idle between two statements, in milliseconds, 1000 to 3,600,000.
   * After that the server ends it, so that a frozen process does not hold locks for longer. @default 60,000
   */
  readonly transactionIdleMs?: number;
  /**
   * A connection for LISTEN, opened when a group watches and kept open. It must lead to the same database, and
   * not through a PgBouncer in transaction mode. With it workers learn of changes immediately; without it, at
   * their next heartbeat. @default none: the store has no `watch`
   */
  readonly listenConnection?: PostgresConnection;
} & (
  | {
      /** A pool of `pg`. You own it: the store never ends it, and you handle its `error` event. */
      readonly pool: PostgresPool;
      readonly connection?: never;
    }
  | {
      /**
       * How to connect to the database. The store creates a pool of two connections for its calls and another
       * pool for the transactions of handlers, and ends both when it is closed.
       */
      readonly connection: PostgresConnection;
      readonly pool?: never;
    }
);

export interface CheckedOptions {
  readonly source:
    | { readonly pool: PostgresPool }
    | { readonly connection: Readonly<Record<string, unknown>> };
  readonly table: string;
  readonly schema: string | undefined;
  readonly namespace: string | undefined;
  readonly timeoutMs: number;
  readonly maxTransactions: number;
  readonly transactionIdleMs: number;
  /** `undefined` if the store has no `watch`. */
  readonly listen: Readonly<Record<string, unknown>> | undefined;
}

const OPTION_NAMES = [
  "pool",
  "connection",
  "table",
  "schema",
  "namespace",
  "timeoutMs",
  "maxTransactions",
  "transactionIdleMs",
  "listenConnection",
];
const TIMEOUT = { min: 100, max: 600_000 };
const TRANSACTIONS = { min: 1, max: 1000 };
const IDLE = { min: 1000, max: 3_600_000 };
/** Postgres truncates longer names silently. */
const MAX_NAME_BYTES = 63;
const MAX_SUFFIX = "_applications";
const NAME = /^[\p{L}_][\p{L}\p{M}\p{N}_$-]*$/u;
const NAMESPACE = /^[^\p{Cc}\p{Surrogate}]{1,255}$/u;

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: PostgresStoreOptions): CheckedOptions {
  checkOptionNames("PostgresStore", options, OPTION_NAMES);
  const { table = "kinesis_consumer", schema, namespace, timeoutMs = 5000 } = options;
  checkName("table", table, MAX_NAME_BYTES - MAX_SUFFIX.length);
  if (schema !== undefined) checkName("schema", schema, MAX_NAME_BYTES);
  if (namespace !== undefined && (typeof namespace !== "string" || !NAMESPACE.test(namespace))) {
    throw new ConfigError("namespace", "must be 1 to 255 characters, no control character");
  }
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  const { maxTransactions = 10, transactionIdleMs = 60_000 } = options;
  checkWholeNumber("maxTransactions", maxTransactions, TRANSACTIONS);
  checkWholeNumber("transactionIdleMs", transactionIdleMs, IDLE, "milliseconds");
  const { listenConnection } = options;
  const listen =
    listenConnection === undefined
      ? undefined
      : checkConnection(
          "listenConnection",
          listenConnection,
          "must be a connection string, or pg's own options",
        );
  return {
    source: checkSource(options),
    table,
    schema,
    namespace,
    timeoutMs,
    maxTransactions,
    transactionIdleMs,
    listen,
  };
}

function checkName(option: "table" | "schema", name: unknown, maxBytes: number): void {
  if (typeof name === "string" && name.includes(".")) {
    throw new ConfigError(
      option,
      'must be one name, without a dot: the schema is the option "schema"',
    );
  }
  if (typeof name !== "string" || !NAME.test(name) || Buffer.byteLength(name) > maxBytes) {
    throw new ConfigError(
      option,
      `must be a name without quotes: a letter or "_", then letters, digits, "_", "$", "-", at ` +
        `most ${maxBytes} bytes; not ${String(name)}`,
    );
  }
}

function checkSource({ pool, connection }: PostgresStoreOptions): CheckedOptions["source"] {
  if (pool !== undefined) {
    if (connection !== undefined) {
      throw new ConfigError("connection", "give a pool or a connection, not both");
    }
    checkMethods("pool", pool, ["connect"], "a pool of pg");
    return { pool };
  }
  const advice = "give a pool, a connection string, or pg's own options";
  return { connection: checkConnection("connection", connection, advice) };
}

function checkConnection(
  option: string,
  connection: PostgresConnection | undefined,
  advice: string,
): Readonly<Record<string, unknown>> {
  if (typeof connection === "string" && connection !== "") return { connectionString: connection };
  if (typeof connection !== "object" || connection === null) throw new ConfigError(option, advice);
  return connection;
}
