import { KcError } from "@kc/core";
import { describe, expect, it } from "vitest";
import {
  CLASSES,
  howToSetUp,
  isConflict,
  keepsConnection,
  NETWORK_CODES,
  SQLSTATES,
  TEXTS,
  toStoreError,
} from "../src/errors.ts";

const DENIED = ["STORE_ACCESS_DENIED", false] as const;
const SCHEMA = ["STORE_SCHEMA", false] as const;
const PASSING = ["STORE_UNAVAILABLE", true] as const;
const CORRUPT = ["STORE_CORRUPT", false] as const;
const FAILED = ["STORE_FAILED", false] as const;
const CLOSED = ["STORE_CLOSED", false] as const;

/** SQLSTATE, what it becomes, and whether its connection is used again. */
const EXPECTED = [
  ["22003", SCHEMA, true], // numeric_value_out_of_range
  ["22001", SCHEMA, true], // string_data_right_truncation
  ["23502", SCHEMA, true], // not_null_violation
  ["23514", SCHEMA, true], // check_violation
  ["25001", PASSING, false], // active_sql_transaction
  ["25006", PASSING, false], // read_only_sql_transaction
  ["25P02", PASSING, false], // in_failed_sql_transaction
  ["25P03", PASSING, false], // idle_in_transaction_session_timeout
  ["25P04", PASSING, false], // transaction_timeout
  ["28000", DENIED, true], // invalid_authorization_specification
  ["28P01", DENIED, true], // invalid_password
  ["3D000", SCHEMA, true], // invalid_catalog_name
  ["3F000", SCHEMA, true], // invalid_schema_name
  ["40001", PASSING, true], // serialization_failure
  ["40P01", PASSING, true], // deadlock_detected
  ["42501", DENIED, true], // insufficient_privilege
  ["42P01", SCHEMA, true], // undefined_table
  ["42P10", SCHEMA, true], // no unique constraint for ON CONFLICT
  ["42703", SCHEMA, true], // undefined_column
  ["42804", SCHEMA, true], // datatype_mismatch
  ["42809", SCHEMA, true], // wrong_object_type
  ["42883", SCHEMA, true], // undefined_function
  ["53100", PASSING, true], // disk_full
  ["53200", PASSING, true], // out_of_memory
  ["53300", PASSING, true], // too_many_connections
  ["55000", PASSING, true], // object_not_in_prerequisite_state
  ["55P03", PASSING, true], // lock_not_available
  ["57014", PASSING, true], // query_canceled
  ["57P01", PASSING, false], // admin_shutdown
  ["57P02", PASSING, false], // crash_shutdown
  ["57P03", PASSING, false], // cannot_connect_now
  ["57P05", PASSING, false], // idle_session_timeout
  ["XX001", CORRUPT, false], // data_corrupted
  ["XX002", CORRUPT, false], // index_corrupted
] as const;

const BY_CLASS = [
  ["08000", PASSING, false],
  ["08003", PASSING, false],
  ["08006", PASSING, false],
  ["08P01", PASSING, false], // PgBouncer's own
  ["28999", DENIED, true],
  ["40003", PASSING, true],
  ["53400", PASSING, true],
  ["57000", PASSING, true],
  ["58030", PASSING, true], // io_error
  ["22021", FAILED, true],
  ["42601", FAILED, true],
  ["XX000", PASSING, false], // internal_error, Supavisor's own
] as const;

const coded = (code: string): Error => Object.assign(new Error("a text"), { code });
const map = (error: unknown): readonly [string, boolean] => {
  const mapped = toStoreError(error, "Postgres table x", "CREATE TABLE x;");
  expect(mapped.name).toBe("StoreError");
  expect(mapped.cause).toBe(error);
  return [mapped.code, mapped.retryable];
};

describe("the server's errors", () => {
  it.each([...EXPECTED, ...BY_CLASS])("%s is %j, its connection used again: %s", (code, ...row) => {
    const error = coded(code);
    expect([map(error), keepsConnection(error)]).toEqual(row);
    expect(isConflict(error)).toBe(code === "40001" || code === "40P01");
    expect(toStoreError(error, "Postgres table x", "").message).toMatch(
      new RegExp(`^Postgres table x: .+ \\(${code}: Error: a text\\)`),
    );
  });

  it("are all in the table", () => {
    expect(SQLSTATES.map(([code]) => code)).toEqual(EXPECTED.map(([code]) => code));
    expect(CLASSES.map(([code]) => code)).toEqual(["08", "28", "40", "53", "57", "58", "XX"]);
  });

  it("of a wrong schema hold the script to run", () => {
    const { message } = toStoreError(coded("42P01"), "x", howToSetUp("CREATE TABLE x;"));
    expect(message).toContain("await store.setup()");
    expect(message).toMatch(/CREATE TABLE x;$/);
  });
});

describe("errors of the network, of TLS, and of the driver", () => {
  const TLS = ["CERT", "_TLS_", "UNABLE_TO"];
  it.each(NETWORK_CODES.map(([code]) => code))("%s", (code) => {
    const certificate = TLS.some((part) => code.includes(part));
    expect(map(coded(code))).toEqual(certificate ? DENIED : PASSING);
    expect(keepsConnection(coded(code))).toBe(false);
  });

  it.each(["EMFILE", "ENFILE", "ENOBUFS", "EPERM", "EACCES", "EPROTO"])(
    "%s of a connect passes",
    (code) => {
      const refused = Object.assign(coded(code), { errno: -1, syscall: "connect" });
      expect(map(refused)).toEqual(PASSING);
      expect(keepsConnection(refused)).toBe(false);
    },
  );

  it.each([
    ["Connection terminated unexpectedly", PASSING],
    ["Connection terminated due to connection timeout", PASSING],
    ["Client has encountered a connection error and is not queryable", PASSING],
    ["timeout exceeded when trying to connect", PASSING],
    ["timeout expired", PASSING],
    ["Query read timeout", PASSING],
    ["There was an error establishing an SSL connection", PASSING],
    ["Cannot use a pool after calling end on the pool", CLOSED],
    ["SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string", DENIED],
    ["anything else", FAILED],
  ])("%s", (text, expected) => {
    expect(map(new Error(text))).toEqual(expected);
    expect(keepsConnection(new Error(text))).toBe(false);
  });

  it.each([
    ["XX000", "Timed-out waiting to acquire database connection", PASSING],
    ["08000", "Timed-out waiting to acquire database connection", PASSING],
    ["XX000", "This RDS proxy has no credentials for the role a. Check …", DENIED],
    ["XX000", "IAM authentication failed for the role a. Check …", DENIED],
    ["XX000", "This RDS Proxy requires TLS connections.", DENIED],
    ["XX000", "(ECHECKOUTTIMEOUT) unable to check out connection from the pool", PASSING],
    ["XX000", "Tenant or user not found", DENIED],
    ["08P01", "password authentication failed", DENIED],
    ["08P01", "SASL authentication failed", DENIED],
    ["08P01", "server login has been failing, try again later (server_login_retry)", PASSING],
    ["57014", "Timed-out waiting to acquire database connection", PASSING],
    ["42P01", "password authentication failed", SCHEMA],
  ])("of a proxy: %s %s", (code, text, expected) => {
    expect(map(Object.assign(new Error(text), { code }))).toEqual(expected);
  });

  it("has a text for each pattern", () => {
    expect(TEXTS).toHaveLength(7);
  });

  it.each([new RangeError("other"), "a text", undefined, { code: 5 }])("%o", (error) => {
    expect(map(error)).toEqual(FAILED);
  });

  it("an error of this library stays as it is", () => {
    const error = new KcError("STORE_CLOSED", "disposed");
    expect(toStoreError(error, "x", "")).toBe(error);
  });
});
