import { describeError, KcError, printable, StoreError } from "@kc/core";
import { permanentFailure, retryableFailure, type StoreFailure } from "@kc/core/adapter";

const REPORT = "this is a fault of this package or its driver: please report it";
const RESTORE = "the file is damaged or not a SQLite database: restore it, or use another path";

/** SQLite's primary result codes: number, name, and what each means for the store. */
export const RESULT_CODES: readonly (readonly [number, string, StoreFailure])[] = [
  [1, "SQLITE_ERROR", permanentFailure("STORE_FAILED", "the statement was refused")],
  [2, "SQLITE_INTERNAL", permanentFailure("STORE_FAILED", REPORT)],
  [3, "SQLITE_PERM", permanentFailure("STORE_ACCESS_DENIED", "grant this user access to the file")],
  [4, "SQLITE_ABORT", retryableFailure("the statement was rolled back")],
  [5, "SQLITE_BUSY", retryableFailure("another connection holds the lock")],
  [6, "SQLITE_LOCKED", retryableFailure("another statement of this connection holds the lock")],
  [7, "SQLITE_NOMEM", retryableFailure("there is not enough memory")],
  [
    8,
    "SQLITE_READONLY",
    permanentFailure(
      "STORE_ACCESS_DENIED",
      "make the file and its directory writable for this user",
    ),
  ],
  [9, "SQLITE_INTERRUPT", retryableFailure("the statement was interrupted")],
  [10, "SQLITE_IOERR", retryableFailure("the disk or the filesystem fails")],
  [11, "SQLITE_CORRUPT", permanentFailure("STORE_CORRUPT", RESTORE)],
  [12, "SQLITE_NOTFOUND", permanentFailure("STORE_FAILED", REPORT)],
  [
    13,
    "SQLITE_FULL",
    retryableFailure("the disk is full, or the file is at its largest: make room"),
  ],
  [
    14,
    "SQLITE_CANTOPEN",
    permanentFailure(
      "STORE_ACCESS_DENIED",
      "the file cannot be opened: its directory must exist, this user must be able to write there",
    ),
  ],
  [15, "SQLITE_PROTOCOL", retryableFailure("too many processes open the file at once")],
  [17, "SQLITE_SCHEMA", retryableFailure("the schema was changed during the statement")],
  [18, "SQLITE_TOOBIG", permanentFailure("STORE_FAILED", "a value is too long")],
  [
    19,
    "SQLITE_CONSTRAINT",
    permanentFailure("STORE_SCHEMA", "the tables have constraints that setup() did not make"),
  ],
  [
    20,
    "SQLITE_MISMATCH",
    permanentFailure("STORE_SCHEMA", "the tables have types that setup() did not make"),
  ],
  [21, "SQLITE_MISUSE", permanentFailure("STORE_FAILED", REPORT)],
  [22, "SQLITE_NOLFS", permanentFailure("STORE_FAILED", "the filesystem has no large files")],
  [
    23,
    "SQLITE_AUTH",
    permanentFailure("STORE_ACCESS_DENIED", "the database's authorizer refused it"),
  ],
  [25, "SQLITE_RANGE", permanentFailure("STORE_FAILED", REPORT)],
  [26, "SQLITE_NOTADB", permanentFailure("STORE_CORRUPT", RESTORE)],
];

/** Node's errors when it checks the file, and the result codes with the same meaning. */
export const FILE_ERRORS: readonly (readonly [string, number])[] = [
  ["EACCES", 3],
  ["EPERM", 3],
  ["ELOOP", 14],
  ["ENAMETOOLONG", 14],
  ["ENOENT", 14],
  ["ENOTDIR", 14],
  ["EIO", 10],
  ["ESTALE", 10],
  ["EMFILE", 7],
  ["ENFILE", 7],
  ["ENOMEM", 7],
];

const BY_FILE_ERROR = new Map(FILE_ERRORS);
const BY_NUMBER = new Map(RESULT_CODES.map((row) => [row[0], row]));
const BY_NAME = new Map(RESULT_CODES.map((row) => [row[1], row]));

/** better-sqlite3's own error, a TypeError, while its owner iterates over a statement's rows. */
const ITERATING_TEXT = /^This database connection is busy executing a query/;

/** SQLite has no codes for these: all are SQLITE_ERROR, and only SQLite's fixed texts distinguish them. */
const SCHEMA_TEXT = /no such (?:table|column)|has no column named|kc_\w+ already exists/;
const SCHEMA = permanentFailure(
  "STORE_SCHEMA",
  "the tables are missing or were not made by setup(): run `await store.setup()` once",
);
const UNKNOWN = permanentFailure("STORE_FAILED", "the call failed in a way that is not known here");

/** The row of `RESULT_CODES` for an error of either driver or of Node. Extended codes map to their primary code. */
function resultCode(error: unknown): (typeof RESULT_CODES)[number] | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, rawCode } = error as Error & { code?: unknown; rawCode?: unknown };
  // The primary code is the low byte of the extended one: SQLITE_IOERR_READ = 266 = 256 + 10.
  if (typeof rawCode === "number") return BY_NUMBER.get(rawCode & 0xff);
  if (typeof code === "string" && code.startsWith("SQLITE_")) {
    return BY_NAME.get(code.split("_").slice(0, 2).join("_"));
  }
  const ofFile = typeof code === "string" ? BY_FILE_ERROR.get(code) : undefined;
  if (ofFile !== undefined) return BY_NUMBER.get(ofFile);
  if (ITERATING_TEXT.test(error.message)) return BY_NAME.get("SQLITE_LOCKED");
  // If libsql cannot open a file, only the error's text contains the number: `…/a.db: 14")`.
  const opening = /ConnectionFailed\(.*: (\d+)"\)$/s.exec(error.message);
  return opening === null ? undefined : BY_NUMBER.get(Number(opening[1]) & 0xff);
}

/** Whether another connection, or another statement of this one, holds a lock that will be released. */
export function isLock(error: unknown): boolean {
  const name = resultCode(error)?.[1];
  return name === "SQLITE_BUSY" || name === "SQLITE_LOCKED";
}

export function isConstraint(error: unknown): boolean {
  return resultCode(error)?.[1] === "SQLITE_CONSTRAINT";
}

/** Whether a transaction that failed with this error may succeed if it is run again. */
export function isTransient(error: unknown): boolean {
  return KcError.is(error) ? error.retryable : meaningOf(error).retryable;
}

/** Converts a driver's error to a StoreError. A KcError is returned as it is. @param where names the file */
export function toStoreError(error: unknown, where: string): KcError {
  if (KcError.is(error)) return error;
  const { code, retryable, advice } = meaningOf(error);
  return new StoreError(code, `${where}: ${advice} (${describe(error)})`, {
    retryable,
    cause: error,
  });
}

function meaningOf(error: unknown): StoreFailure {
  const text = error instanceof Error ? error.message : "";
  const row = resultCode(error);
  if (row === undefined) return UNKNOWN;
  return row[1] === "SQLITE_ERROR" && SCHEMA_TEXT.test(text) ? SCHEMA : row[2];
}

function describe(error: unknown): string {
  const name = resultCode(error)?.[1];
  return name !== undefined && error instanceof Error
    ? `${name}: ${printable(error.message)}`
    : describeError(error);
}
