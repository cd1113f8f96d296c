import { ConfigError } from "@kc/core";
import { checkBoolean, checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";
import type { SqliteDatabase } from "./driver.ts";

/** Options of a `SqliteStore`: either `path` or `database` is required. */
export type SqliteStoreOptions<Database extends SqliteDatabase = SqliteDatabase> = {
  /**
   * How long a call waits for another process's lock, in milliseconds, 0 to 600,000. After that it rejects with a
   * retryable STORE_UNAVAILABLE. @default 5000
   */
  readonly busyTimeoutMs?: number;
} & (
  | {
      /** The database file. It is created if it does not exist; its directory is not. */
      readonly path: string;
      /** Fails if the file does not exist, for instance because its volume is not mounted. @default false */
      readonly mustExist?: boolean;
      readonly database?: never;
    }
  | {
      /** An open `libsql` or `better-sqlite3` database. You own it: the store never closes it. */
      readonly database: Database;
      readonly path?: never;
      readonly mustExist?: never;
    }
);

export interface CheckedOptions {
  readonly source:
    | { readonly path: string; readonly mustExist: boolean }
    | { readonly database: SqliteDatabase };
  readonly busyTimeoutMs: number;
}

const OPTION_NAMES = ["path", "mustExist", "database", "busyTimeoutMs"];
const BUSY_TIMEOUT = { min: 0, max: 600_000 };
/** `libsql:`, `https:`, `file:`, with which libsql would use the network or read parameters; not the drive `C:`. */
const URL_SCHEME = /^[a-z][a-z0-9+.-]+:/i;

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: SqliteStoreOptions): CheckedOptions {
  checkOptionNames("SqliteStore", options, OPTION_NAMES);
  const { busyTimeoutMs = 5000 } = options;
  checkWholeNumber("busyTimeoutMs", busyTimeoutMs, BUSY_TIMEOUT, "milliseconds");
  if (options.database !== undefined) {
    if (options.path !== undefined) {
      throw new ConfigError("path", "give a path or an open database, not both");
    }
    if (options.mustExist !== undefined) {
      throw new ConfigError("mustExist", "belongs to a path: an open database exists");
    }
    return { source: { database: checkDatabase(options.database) }, busyTimeoutMs };
  }
  const { mustExist = false } = options;
  const source = {
    path: checkPath(options.path),
    mustExist: checkBoolean("mustExist", mustExist),
  };
  return { source, busyTimeoutMs };
}

function checkPath(path: unknown): string {
  if (typeof path !== "string" || path === "") {
    throw new ConfigError("path", "give the path of a database file, or an open database");
  }
  if (path === ":memory:") {
    throw new ConfigError("path", "nothing would be kept: use core's MemoryStore instead");
  }
  if (URL_SCHEME.test(path) || path.includes("\0")) {
    // The text is not quoted: it may contain a token.
    throw new ConfigError("path", "must be a plain path of a local file, not a URL, without a NUL");
  }
  return path;
}

function checkDatabase(database: SqliteDatabase): SqliteDatabase {
  const what = "an open libsql or better-sqlite3 database";
  checkMethods("database", database, ["prepare", "exec"], what);
  return database;
}
