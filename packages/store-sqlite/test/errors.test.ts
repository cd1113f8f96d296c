import { KcError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { isLock, RESULT_CODES, toStoreError } from "../src/errors.ts";

/** As sqlite3.h numbers them, and what each is to become. */
const EXPECTED = [
  [1, "SQLITE_ERROR", "STORE_FAILED", false],
  [2, "SQLITE_INTERNAL", "STORE_FAILED", false],
  [3, "SQLITE_PERM", "STORE_ACCESS_DENIED", false],
  [4, "SQLITE_ABORT", "STORE_UNAVAILABLE", true],
  [5, "SQLITE_BUSY", "STORE_UNAVAILABLE", true],
  [6, "SQLITE_LOCKED", "STORE_UNAVAILABLE", true],
  [7, "SQLITE_NOMEM", "STORE_UNAVAILABLE", true],
  [8, "SQLITE_READONLY", "STORE_ACCESS_DENIED", false],
  [9, "SQLITE_INTERRUPT", "STORE_UNAVAILABLE", true],
  [10, "SQLITE_IOERR", "STORE_UNAVAILABLE", true],
  [11, "SQLITE_CORRUPT", "STORE_CORRUPT", false],
  [12, "SQLITE_NOTFOUND", "STORE_FAILED", false],
  [13, "SQLITE_FULL", "STORE_UNAVAILABLE", true],
  [14, "SQLITE_CANTOPEN", "STORE_ACCESS_DENIED", false],
  [15, "SQLITE_PROTOCOL", "STORE_UNAVAILABLE", true],
  [17, "SQLITE_SCHEMA", "STORE_UNAVAILABLE", true],
  [18, "SQLITE_TOOBIG", "STORE_FAILED", false],
  [19, "SQLITE_CONSTRAINT", "STORE_SCHEMA", false],
  [20, "SQLITE_MISMATCH", "STORE_SCHEMA", false],
  [21, "SQLITE_MISUSE", "STORE_FAILED", false],
  [22, "SQLITE_NOLFS", "STORE_FAILED", false],
  [23, "SQLITE_AUTH", "STORE_ACCESS_DENIED", false],
  [25, "SQLITE_RANGE", "STORE_FAILED", false],
  [26, "SQLITE_NOTADB", "STORE_CORRUPT", false],
] as const;

const libsqlError = (rawCode: number, code: string, message = "a text"): Error =>
  Object.assign(new Error(message), { code, rawCode });
const betterSqliteError = (code: string, message = "a text"): Error =>
  Object.assign(new Error(message), { code });

describe("SQLite's result codes", () => {
  it.each(EXPECTED)("%i %s is %s, retryable %s", (number, name, code, retryable) => {
    const errors = [
      libsqlError(number, name),
      // An extended code, under the name that libsql gives to those that it does not know.
      libsqlError(number + 7 * 256, "UNKNOWN_SQLITE_ERROR"),
      betterSqliteError(name),
      betterSqliteError(`${name}_EXTENDED_PART`),
    ];
    for (const error of errors) {
      const mapped = toStoreError(error, "/data/a.db");
      expect(mapped).toMatchObject({ code, retryable, cause: error, name: "StoreError" });
      expect(mapped.message).toMatch(/^\/data\/a\.db: .+ \(SQLITE_[A-Z]+: a text\)$/);
      expect(isLock(error)).toBe(name === "SQLITE_BUSY" || name === "SQLITE_LOCKED");
    }
  });

  it("are all in the table", () => {
    const table = RESULT_CODES.map(([number, name, { code, retryable }]) => {
      return [number, name, code, retryable];
    });
    expect(table).toStrictEqual(EXPECTED.map((row) => [...row]));
  });
});

describe("errors without a code of their own", () => {
  it.each([
    "no such table: kc_checkpoints",
    "no such column: shard_end",
    "table kc_checkpoints has no column named shard_end",
    "table kc_checkpoints already exists",
  ])("%s: the schema is wrong", (message) => {
    const mapped = toStoreError(libsqlError(1, "SQLITE_ERROR", message), "a.db");
    expect(mapped).toMatchObject({ code: "STORE_SCHEMA", retryable: false });
    expect(mapped.message).toContain("store.setup()");
  });

  it("an open that failed has its code in libsql's text", () => {
    const text = 'ConnectionFailed("Unable to open connection to local database /x: 1/a.db: 14")';
    const mapped = toStoreError(Object.assign(new Error(text), { code: "" }), "a.db");
    expect(mapped).toMatchObject({ code: "STORE_ACCESS_DENIED", retryable: false });
  });

  it("a better-sqlite3 database over whose rows its owner iterates is locked until that is over", () => {
    const error = new TypeError("This database connection is busy executing a query");
    expect(isLock(error)).toBe(true);
    expect(toStoreError(error, "a.db")).toMatchObject({
      code: "STORE_UNAVAILABLE",
      retryable: true,
    });
  });

  it.each([new RangeError("other"), "a text", undefined])("%s is STORE_FAILED", (error) => {
    const mapped = toStoreError(error, "a.db");
    expect(mapped).toMatchObject({ code: "STORE_FAILED", retryable: false });
    expect(isLock(error)).toBe(false);
  });

  it("an error of this library stays as it is", () => {
    const error = new KcError("STORE_CLOSED", "disposed");
    expect(toStoreError(error, "a.db")).toBe(error);
  });
});
