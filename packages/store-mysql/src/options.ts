import { ConfigError } from "@kc/core";
import { checkOptionNames, checkWholeNumber } from "@kc/core/adapter";
import type { PoolOptions } from "mysql2/promise";
import type { MysqlCallbackPool, MysqlPool } from "./driver.ts";

export type MysqlStoreOptions = {
  /**
   * The checkpoints table, 1 to 51 characters: the Go library's, or one that `setup()` creates. Four companion tables
   * have its name with the suffixes `_leases`, `_applications`, `_workers` and `_revisions`.
   * @default "kinesis_consumer"
   */
  readonly table?: string;
  /** The database that contains the tables. @default the connection's own */
  readonly database?: string;
  /**
   * The key of this application's rows, 1 to 384 characters. A namespace belongs to one application on one
   * stream. @default `{application}-{stream}`, as in the Go library
   */
  readonly namespace?: string;
  /**
   * The timeout of a call, in milliseconds, 1 to 600,000, including the waits for a connection and for locks. After it
   * the call rejects with a retryable STORE_UNAVAILABLE. @default 5000
   */
  readonly timeoutMs?: number;
  /**
   * The maximum number of concurrent `scanTransaction` transactions, 1 to 1000; others wait. Each holds a
   * connection: one of the store's second pool with `connection`, or one of your `pool`, which needs two more for
   * the store's calls. @default 10, or two fewer than the pool's `connectionLimit`
   */
  readonly maxTransactions?: number;
} & (
  | {
      /** A pool of `mysql2` or `mysql2/promise`. You own it: the store never closes it. */
      readonly pool: MysqlPool | MysqlCallbackPool;
      readonly connection?: never;
      readonly transactionIdleMs?: never;
    }
  | {
      /**
       * `mysql://user:password@host/database`, or pool options of mysql2. The store creates a pool of two
       * connections, or of `connectionLimit`, for its calls and another pool for the transactions of handlers, and
       * ends both when it is closed.
       */
      readonly connection: string | PoolOptions;
      readonly pool?: never;
      /**
       * How long a handler's transaction may be idle between two statements, in milliseconds, 1000 to 3,600,000,
       * rounded up to whole seconds. After that the server ends the connection, so that a frozen process does not
       * hold locks for longer. @default 60,000
       */
      readonly transactionIdleMs?: number;
    }
);

export interface CheckedOptions {
  readonly source: { readonly pool: MysqlPool } | { readonly connection: PoolOptions };
  readonly table: string;
  readonly database: string | undefined;
  readonly namespace: string | undefined;
  readonly timeoutMs: number;
  readonly maxTransactions: number;
  readonly transactionIdleMs: number;
}

const OPTION_NAMES = [
  "pool",
  "connection",
  "table",
  "database",
  "namespace",
  "timeoutMs",
  "maxTransactions",
  "transactionIdleMs",
];
const TIMEOUT = { min: 1, max: 600_000 };
const TRANSACTIONS = { min: 1, max: 1000 };
const IDLE = { min: 1000, max: 3_600_000 };
/** An identifier has at most 64 characters; the longest suffix of a companion table is `_applications`. */
const MAX_TABLE_LENGTH = 51;
const MAX_DATABASE_LENGTH = 64;
const MAX_NAMESPACE_LENGTH = 384;
const PLAIN_TEXT = /^[^\p{Cc}\p{Surrogate}]+$/u;

/** The TLS profile that mysql2 contains. */
const TLS_PROFILE = "Amazon RDS";

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: MysqlStoreOptions): CheckedOptions {
  checkOptionNames("MysqlStore", options, OPTION_NAMES);
  const { table = "kinesis_consumer", database, namespace, timeoutMs = 5000 } = options;
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  const { maxTransactions = 10, transactionIdleMs = 60_000 } = options;
  checkWholeNumber("maxTransactions", maxTransactions, TRANSACTIONS);
  checkWholeNumber("transactionIdleMs", transactionIdleMs, IDLE, "milliseconds");
  if (options.pool !== undefined && options.transactionIdleMs !== undefined) {
    throw new ConfigError(
      "transactionIdleMs",
      "belongs to `connection`: in a pool of yours set wait_timeout, or MariaDB's " +
        "idle_transaction_timeout, for each connection",
    );
  }
  if (typeof table === "string" && table.includes(".")) {
    throw new ConfigError("table", `${table}: set the database with the option 'database'`);
  }
  if (namespace !== undefined) checkText("namespace", namespace, MAX_NAMESPACE_LENGTH);
  return {
    source: checkSource(options),
    table: checkIdentifier("table", table, MAX_TABLE_LENGTH),
    database:
      database === undefined
        ? undefined
        : checkIdentifier("database", database, MAX_DATABASE_LENGTH),
    namespace,
    timeoutMs,
    maxTransactions,
    transactionIdleMs,
  };
}

function checkSource({ pool, connection }: MysqlStoreOptions): CheckedOptions["source"] {
  if (pool !== undefined) {
    if (connection !== undefined) {
      throw new ConfigError("connection", "give a pool or a connection, not both");
    }
    return { pool: checkPool(pool) };
  }
  if (typeof connection === "string") {
    // The text is not quoted: it may contain a password.
    if (!/^(mysql|mariadb):\/\//.test(connection) || !URL.canParse(connection)) {
      throw new ConfigError("connection", "must be a mysql:// URL, or mysql2's pool options");
    }
    checkTls(new URL(connection).searchParams.get("ssl"));
    return { connection: { uri: connection } };
  }
  if (typeof connection !== "object" || connection === null) {
    throw new ConfigError("connection", "give a pool of mysql2, a mysql:// URL, or pool options");
  }
  return { connection };
}

/** mysql2 treats a text that is not JSON as a profile's name and quotes it in an error, although it may be a key. */
function checkTls(ssl: string | null): void {
  if (ssl === null || ssl === TLS_PROFILE || isJson(ssl)) return;
  throw new ConfigError("connection", `its ssl must be an object in JSON, or "${TLS_PROFILE}"`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function checkPool(pool: MysqlPool | MysqlCallbackPool | null): MysqlPool {
  if (typeof pool === "object" && pool !== null) {
    const promising = "promise" in pool ? pool.promise() : pool;
    if (typeof promising?.getConnection === "function") return promising;
  }
  throw new ConfigError("pool", "must be a pool of mysql2 or mysql2/promise");
}

/** Refuses trailing spaces: MySQL refuses them in identifiers, and ignores them in comparisons of values. */
function checkText(option: string, text: unknown, longest: number): string {
  if (typeof text !== "string" || !PLAIN_TEXT.test(text) || Array.from(text).length > longest) {
    throw new ConfigError(
      option,
      `must be a string of 1 to ${longest} characters, none of them a control character`,
    );
  }
  if (text.endsWith(" ")) throw new ConfigError(option, "must not end with a space");
  return text;
}

function checkIdentifier(option: string, name: unknown, longest: number): string {
  const checked = checkText(option, name, longest);
  if (/[\u{10000}-\u{10FFFF}]/u.test(checked)) {
    throw new ConfigError(option, "has a character that MySQL does not allow in a name");
  }
  return checked;
}
