import { readFileSync } from "node:fs";
import { leaseStoreRound } from "@kc/conformance";
import { startPgBouncer } from "@kc-internal/test-services";
import pg from "pg";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { SCOPE } from "./support/leases.ts";
import { at, failure, open } from "./support/open.ts";

/** What a role, a database or a pool's owner may have set, and the store works under. */
const WORKS: readonly (readonly [string, readonly string[]])[] = [
  ["default_transaction_isolation", ["serializable", "repeatable read", "read committed"]],
  ["default_transaction_deferrable", ["on"]],
  ["standard_conforming_strings", ["off"]],
  ["backslash_quote", ["off"]],
  ["transform_null_equals", ["on"]],
  ["quote_all_identifiers", ["on"]],
  ["DateStyle", ["SQL, DMY", "German"]],
  ["IntervalStyle", ["sql_standard"]],
  ["TimeZone", ["Asia/Kathmandu"]],
  ["extra_float_digits", ["-15", "0", "3"]],
  ["bytea_output", ["escape"]],
  ["client_encoding", ["SQL_ASCII"]],
  ["statement_timeout", ["250"]],
  ["lock_timeout", ["1"]],
  ["idle_in_transaction_session_timeout", ["1"]],
  ["synchronous_commit", ["off", "local"]],
  ["session_replication_role", ["replica"]],
  ["row_security", ["off"]],
  ["jit", ["on"]],
  ["jit_above_cost", ["0"]],
  ["enable_indexscan", ["off"]],
  ["plan_cache_mode", ["force_generic_plan"]],
  ["vacuum_cost_delay", ["100"]],
];

/** What is refused, by name, at the first call. */
const REFUSED = [
  ["client_encoding", "LATIN1", { code: "STORE_FAILED", retryable: false }],
  ["default_transaction_read_only", "on", { code: "STORE_UNAVAILABLE", retryable: true }],
] as const;

/** A store on connections that have the setting from their beginning. */
async function storeWith(name: string, value: string) {
  const { schema } = await open(inject("postgres"));
  const { connectionString } = inject("postgres");
  const pool = new pg.Pool({ connectionString, max: 2 });
  pool.on("connect", (client) => void client.query(`SET ${name} = '${value}'`));
  onTestFinished(() => pool.end());
  return { schema, pool, store: new PostgresStore({ pool, schema }) };
}

describe("under a setting of its server, role or pool", () => {
  test.each(WORKS.flatMap(([name, values]) => values.map((value) => [name, value])))(
    "%s = %s the store works",
    async (name, value) => {
      const { store } = await storeWith(name, value);
      await leaseStoreRound(store);
    },
  );

  test("search_path the store finds its tables, and needs no `schema`", async () => {
    const { pool, schema } = await storeWith("search_path", "pg_catalog");
    await leaseStoreRound(new PostgresStore({ pool, schema }));
    const own = new pg.Pool({ connectionString: inject("postgres").connectionString, max: 1 });
    own.on("connect", (client) => void client.query(`SET search_path = ${schema}`));
    onTestFinished(() => own.end());
    const scope = { application: "another", streamName: "orders" };
    await leaseStoreRound(new PostgresStore({ pool: own }), scope);
  });

  test.each(REFUSED)("%s = %s the first call is refused by name", async (name, value, error) => {
    const { store } = await storeWith(name, value);
    const refused = { ...error, message: expect.stringContaining(name) };
    expect(await failure(store.setCheckpoint(SCOPE, at(1)))).toMatchObject(refused);
  });

  test("pool_mode = statement of PgBouncer the store works: a call is one message", async () => {
    const { schema } = await open(inject("postgres"));
    await using pooler = await startPgBouncer(inject("postgres"), { poolMode: "statement" });
    const { connectionString: connection } = pooler;
    await using store = new PostgresStore({ connection, schema });
    await store.setup();
    await leaseStoreRound(store);
  });

  test("that was tried, the README says what becomes of it", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const section = readme.split("## Settings")[1]!.split("\n## ")[0]!;
    const others = ["search_path", "pool_mode", "standby.signal"];
    const names = [...others, ...WORKS.map(([name]) => name), ...REFUSED.map(([name]) => name)];
    for (const name of names) expect(section).toContain(`\`${name}\``);
  });
});

test("a trigger that suppresses a write is named: the write does not count as behind", async () => {
  const { store, admin, schema } = await open(inject("postgres"));
  await store.setCheckpoint(SCOPE, at(1));
  await admin.query(`
    CREATE FUNCTION ${schema}.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER keep BEFORE UPDATE ON ${schema}.kinesis_consumer
      FOR EACH ROW EXECUTE FUNCTION ${schema}.keep()`);
  expect(await failure(store.setCheckpoint(SCOPE, at(2)))).toMatchObject({
    code: "STORE_FAILED",
    retryable: false,
    message: expect.stringContaining("trigger"),
  });
  expect(await store.setCheckpoint(SCOPE, at(1))).toMatchObject({ outcome: "same" });
});
