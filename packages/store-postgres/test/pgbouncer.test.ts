import { leaseStoreConformance, storeConformance } from "@kc/conformance";
import { startPgBouncer, type PgBouncerServer } from "@kc-internal/test-services";
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { postgresHarness } from "./support/harness.ts";
import { SCOPE, SHARD } from "./support/leases.ts";
import { at, failure, open, UNAVAILABLE } from "./support/open.ts";

/** All handles share three sessions, each lent for one transaction. */
let pooler: PgBouncerServer;

beforeAll(async () => {
  pooler = await startPgBouncer(inject("postgres"), { poolSize: 3 });
});

afterAll(() => pooler.close());

const NAME = "PostgresStore through PgBouncer in transaction mode";
const harness = () => postgresHarness("connection", pooler, inject("postgres").connectionString);
storeConformance(NAME, harness);
leaseStoreConformance(NAME, harness);

test("a transaction whose session behind the pooler ends is run again, and leaves no setting in the next one", async () => {
  const { admin, schema } = await open(inject("postgres"));
  await admin.query(`CREATE TABLE ${schema}.effects (name text)`);
  const { connectionString } = pooler;
  const store = new PostgresStore({
    connection: connectionString,
    schema,
    transactionIdleMs: 4321,
  });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const write = { shardId: SHARD, from: { sequenceNumber: "1" }, checkpoint: at(3).checkpoint };
  const settings: unknown[] = [];
  const transact = (ends: boolean) =>
    store.transact(SCOPE, write, async (tx) => {
      await tx.query(`INSERT INTO ${schema}.effects VALUES ('one')`);
      const look =
        "SELECT pg_backend_pid() AS pid, current_setting('idle_in_transaction_session_timeout') AS idle";
      const { rows } = await tx.query<{ pid: number; idle: string }>(look);
      settings.push(rows[0]!.idle);
      if (ends) await admin.query("SELECT pg_terminate_backend($1, 30000)", [rows[0]!.pid]);
    });
  expect(await failure(transact(true))).toMatchObject(UNAVAILABLE);
  expect(await transact(false)).toMatchObject({ outcome: "committed" });
  expect(await transact(false)).toMatchObject({ outcome: "already-done" });
  const { rows: effects } = await admin.query(`SELECT name FROM ${schema}.effects`);
  expect(effects).toEqual([{ name: "one" }]);
  const { rows } = await admin.query<{ idle: string }>(
    "SELECT current_setting('idle_in_transaction_session_timeout') AS idle",
  );
  const other = new PostgresStore({
    connection: connectionString,
    schema,
    transactionIdleMs: 9876,
  });
  onTestFinished(() => other[Symbol.asyncDispose]());
  await other
    .transact(SCOPE, { ...write, shardId: "other" }, async (tx) => {
      const { rows: now } = await tx.query<{ idle: string }>(
        "SHOW idle_in_transaction_session_timeout",
      );
      settings.push(Object.values(now[0]!)[0]);
      await tx.query("COMMIT");
      const { rows: after } = await tx.query("SHOW idle_in_transaction_session_timeout");
      settings.push(Object.values(after[0])[0]);
    })
    .catch(() => undefined);
  expect(settings).toEqual(["4321ms", "4321ms", "4321ms", "9876ms", rows[0]!.idle]);
});
