import { KcError } from "@kc/core";
import { describe, expect, it } from "vitest";
import {
  CLIENT_ERRORS,
  CLIENT_TEXTS,
  isDuplicate,
  isDuplicateColumn,
  isInTransaction,
  isLock,
  isMissingTable,
  SERVER_ERRORS,
  toStoreError,
} from "../src/errors.ts";

const PASSING = ["STORE_UNAVAILABLE", true] as const;
const DENIED = ["STORE_ACCESS_DENIED", false] as const;
const SCHEMA = ["STORE_SCHEMA", false] as const;

/** As the servers number them, and what each is to become. */
const SERVER = [
  [3, "EE_WRITE", ...PASSING],
  [1020, "ER_CHECKREAD", ...PASSING],
  [1021, "ER_DISK_FULL", ...PASSING],
  [1026, "ER_ERROR_ON_WRITE", ...PASSING],
  [1030, "ER_GET_ERRNO", ...PASSING],
  [1037, "ER_OUTOFMEMORY", ...PASSING],
  [1038, "ER_OUT_OF_SORTMEMORY", ...PASSING],
  [1040, "ER_CON_COUNT_ERROR", ...PASSING],
  [1041, "ER_OUT_OF_RESOURCES", ...PASSING],
  [1043, "ER_HANDSHAKE_ERROR", ...PASSING],
  [1044, "ER_DBACCESS_DENIED_ERROR", ...DENIED],
  [1045, "ER_ACCESS_DENIED_ERROR", ...DENIED],
  [1046, "ER_NO_DB_ERROR", ...SCHEMA],
  [1047, "ER_UNKNOWN_COM_ERROR", ...PASSING],
  [1049, "ER_BAD_DB_ERROR", ...SCHEMA],
  [1053, "ER_SERVER_SHUTDOWN", ...PASSING],
  [1054, "ER_BAD_FIELD_ERROR", ...SCHEMA],
  [1104, "ER_TOO_BIG_SELECT", "STORE_FAILED", false],
  [1105, "ER_UNKNOWN_ERROR", ...PASSING],
  [1114, "ER_RECORD_FILE_FULL", ...PASSING],
  [1129, "ER_HOST_IS_BLOCKED", ...PASSING],
  [1130, "ER_HOST_NOT_PRIVILEGED", ...DENIED],
  [1135, "ER_CANT_CREATE_THREAD", ...PASSING],
  [1142, "ER_TABLEACCESS_DENIED_ERROR", ...DENIED],
  [1143, "ER_COLUMNACCESS_DENIED_ERROR", ...DENIED],
  [1146, "ER_NO_SUCH_TABLE", ...SCHEMA],
  [1152, "ER_ABORTING_CONNECTION", ...PASSING],
  [1153, "ER_NET_PACKET_TOO_LARGE", "STORE_FAILED", false],
  [1158, "ER_NET_READ_ERROR", ...PASSING],
  [1159, "ER_NET_READ_INTERRUPTED", ...PASSING],
  [1160, "ER_NET_ERROR_ON_WRITE", ...PASSING],
  [1161, "ER_NET_WRITE_INTERRUPTED", ...PASSING],
  [1176, "ER_KEY_DOES_NOT_EXITS", ...SCHEMA],
  [1180, "ER_ERROR_DURING_COMMIT", ...PASSING],
  [1184, "ER_NEW_ABORTING_CONNECTION", ...PASSING],
  [1203, "ER_TOO_MANY_USER_CONNECTIONS", ...PASSING],
  [1205, "ER_LOCK_WAIT_TIMEOUT", ...PASSING],
  [1206, "ER_LOCK_TABLE_FULL", ...PASSING],
  [1213, "ER_LOCK_DEADLOCK", ...PASSING],
  [1226, "ER_USER_LIMIT_REACHED", ...PASSING],
  [1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR", ...DENIED],
  [1290, "ER_OPTION_PREVENTS_STATEMENT", ...PASSING],
  [1317, "ER_QUERY_INTERRUPTED", ...PASSING],
  [1364, "ER_NO_DEFAULT_FOR_FIELD", ...SCHEMA],
  [1412, "ER_TABLE_DEF_CHANGED", ...PASSING],
  [1637, "ER_TOO_MANY_CONCURRENT_TRXS", ...PASSING],
  [1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR", ...DENIED],
  [1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", ...PASSING],
  [1820, "ER_MUST_CHANGE_PASSWORD", ...DENIED],
  [1836, "ER_READ_ONLY_MODE", ...PASSING],
  [1862, "ER_MUST_CHANGE_PASSWORD_LOGIN", ...DENIED],
  [1927, "ER_CONNECTION_KILLED", ...PASSING],
  [1969, "ER_STATEMENT_TIMEOUT", ...PASSING],
  [1999, "ER_TENCENTDB_PROXY", ...PASSING],
  [2002, "CR_CONNECTION_ERROR", ...PASSING],
  [2003, "CR_CONN_HOST_ERROR", ...PASSING],
  [2006, "CR_SERVER_GONE_ERROR", ...PASSING],
  [2013, "CR_SERVER_LOST", ...PASSING],
  [3024, "ER_QUERY_TIMEOUT", ...PASSING],
  [3032, "ER_SERVER_OFFLINE_MODE", ...PASSING],
  [3100, "ER_RUN_HOOK_ERROR", ...PASSING],
  [3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", ...PASSING],
  [3118, "ER_ACCOUNT_HAS_BEEN_LOCKED", ...DENIED],
  [3159, "ER_SECURE_TRANSPORT_REQUIRED", ...DENIED],
  [3169, "ER_SESSION_WAS_KILLED", ...PASSING],
  [3572, "ER_LOCK_NOWAIT", ...PASSING],
  [4031, "ER_CLIENT_INTERACTION_TIMEOUT", ...PASSING],
  [9001, "ER_PROXYSQL_MAX_CONN_TIMEOUT", ...PASSING],
  [9002, "ER_PROXYSQL_MAX_CONN_FAILURE", ...PASSING],
  [9004, "ER_PROXYSQL_BACKEND_OFFLINE", ...PASSING],
  [9006, "ER_PROXYSQL_LOCKED_TO_HOSTGROUP", ...PASSING],
  [9501, "ER_RDS_PROXY", ...PASSING],
] as const;

const LOCKS: ReadonlySet<number> = new Set([1020, 1205, 1213, 1412, 3101, 3572]);

const CLIENT = [
  ["ECONNREFUSED", ...PASSING],
  ["ECONNRESET", ...PASSING],
  ["ECONNABORTED", ...PASSING],
  ["EPIPE", ...PASSING],
  ["ETIMEDOUT", ...PASSING],
  ["EHOSTUNREACH", ...PASSING],
  ["EHOSTDOWN", ...PASSING],
  ["ENETUNREACH", ...PASSING],
  ["ENETDOWN", ...PASSING],
  ["EADDRNOTAVAIL", ...PASSING],
  ["EMFILE", ...PASSING],
  ["ENOTFOUND", ...PASSING],
  ["EAI_AGAIN", ...PASSING],
  ["PROTOCOL_CONNECTION_LOST", ...PASSING],
  ["PROTOCOL_SEQUENCE_TIMEOUT", ...PASSING],
  ["HANDSHAKE_NO_SSL_SUPPORT", ...DENIED],
] as const;

const TEXTS = [
  ["Pool is closed.", "STORE_CLOSED", false],
  ["Queue limit reached.", ...PASSING],
  ["No connections available.", ...PASSING],
  ["Can't add new command when connection is in closed state", ...PASSING],
] as const;

const serverError = (errno: number, code?: string): Error =>
  Object.assign(new Error("a text"), { errno, code, sqlState: "HY000" });
const clientError = (code: string): Error => Object.assign(new Error("a text"), { code });

describe("the server's errors", () => {
  it.each(SERVER)("%i %s is %s, retryable %s", (number, name, code, retryable) => {
    const mapped = toStoreError(serverError(number, name));
    expect(mapped).toMatchObject({ code, retryable, name: "StoreError" });
    expect(mapped.message).toMatch(/^MySQL: .+ \([A-Z_]+: a text\)$/);
    expect(mapped.cause).toBeInstanceOf(Error);
    expect(isLock(serverError(number, name))).toBe(LOCKS.has(number));
  });

  it.each([
    [1060, isDuplicateColumn],
    [1062, isDuplicate],
    [1568, isInTransaction],
    [1146, isMissingTable],
  ] as const)("%i is recognized", (number, is) => {
    expect(is(serverError(number))).toBe(true);
    expect(is(serverError(number + 1))).toBe(false);
  });

  it("are known by their number, not by what a driver calls it", () => {
    expect(toStoreError(serverError(3572))).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(toStoreError(serverError(1040, "ER_SOMETHING"))).toMatchObject({ retryable: true });
  });

  it("are not the operating system's, which have numbers too", () => {
    const odd = Object.assign(new Error("odd"), { errno: 1146, code: "EODD" });
    expect(toStoreError(odd)).toMatchObject({ code: "STORE_FAILED", retryable: false });
    expect(isMissingTable(odd)).toBe(false);
  });

  it("are all in the table, and no others", () => {
    const table = SERVER_ERRORS.map(([number, name, { code, retryable }]) => {
      return [number, name, code, retryable];
    });
    const sorted = table.toSorted(([a], [b]) => Number(a) - Number(b));
    expect(sorted).toStrictEqual(SERVER.map((row) => [...row]));
  });
});

describe("errors of the network and of mysql2", () => {
  it.each(CLIENT)("%s is %s, retryable %s", (name, code, retryable) => {
    const mapped = toStoreError(clientError(name));
    expect(mapped).toMatchObject({ code, retryable, name: "StoreError" });
    expect(isLock(clientError(name))).toBe(false);
  });

  it.each(["ENFILE", "ENOBUFS", "EPERM", "EACCES", "EPROTO"])("%s of a connect passes", (code) => {
    const refused = Object.assign(clientError(code), { errno: -1, syscall: "connect" });
    expect(toStoreError(refused)).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  });

  it.each(TEXTS)("%s is %s, retryable %s", (text, code, retryable) => {
    expect(toStoreError(new Error(text))).toMatchObject({ code, retryable });
  });

  it("are all in the tables, and no others", () => {
    const rows = [...CLIENT_ERRORS, ...CLIENT_TEXTS].map(([name, { code, retryable }]) => {
      return [name, code, retryable];
    });
    expect(rows).toStrictEqual([...CLIENT, ...TEXTS].map((row) => [...row]));
  });
});

it("a text of mysql2 counts behind the statement that a library puts before it", () => {
  const [text, { code, retryable }] = CLIENT_TEXTS.at(-1)!;
  expect(toStoreError(new Error(`SELECT 1 - ${text}`))).toMatchObject({ code, retryable });
});

describe("other errors", () => {
  it.each([serverError(1064, "ER_PARSE_ERROR"), new RangeError("other"), "a text", undefined])(
    "%s is STORE_FAILED",
    (error) => {
      expect(toStoreError(error)).toMatchObject({ code: "STORE_FAILED", retryable: false });
      expect(isLock(error)).toBe(false);
    },
  );

  it("of this library stay as they are", () => {
    const error = new KcError("STORE_CLOSED", "disposed");
    expect(toStoreError(error)).toBe(error);
  });
});
