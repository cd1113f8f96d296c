import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { shardEndAt } from "@kc/core";
import { startPostgres } from "@kc-internal/test-services";
import pg from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import type { ExpectedWarnings } from "../../../vitest.warnings.ts";
import { SCOPE, SHARD, storedNumber, WORKER } from "./support/leases.ts";
import { at, open, untilWaiting, WaitingClient, type Opened } from "./support/open.ts";
import { PostgresStore } from "../src/index.ts";
import { eventually } from "./support/poll.ts";

const SHARDS = 200;
const ROUNDS = 50;
/** As real ones are: a row that is claimed gets longer by this much. */
const FULL_NAMES = {
  ...WORKER,
  workerId: "billing-worker-7d9c5b6f4-x2x8q",
  incarnation: "018f6d3e-7a4b-4c1d-9e2f-5a6b7c8d9e0f",
};
const number = (n: number): string => `4959033827149025660855969253${String(n).padStart(28, "0")}`;

/**
 * Its own server, without the one that looks after its tables: any transaction of the same database keeps
 * versions from being pruned, an ANALYZE of autovacuum's too.
 */
async function alone(): Promise<Opened> {
  const server = await startPostgres();
  onTestFinished(() => server.close());
  const opened = await open(server, { Client: WaitingClient, timeoutMs: 60_000 });
  await opened.admin.query("ALTER SYSTEM SET autovacuum = off");
  await opened.admin.query("SELECT pg_reload_conf()");
  await eventually(
    "the end of autovacuum",
    async () => {
      const { rowCount } = await opened.admin.query(
        "SELECT FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum %'",
      );
      return rowCount;
    },
    (count) => count === 0,
  );
  return opened;
}

test("flushes, heartbeats and claims are all rewritten in place: no index entry, no growth", async () => {
  const { store, pool, admin, schema } = await alone();
  const shardIds = Array.from({ length: SHARDS }, (_, n) => `${SHARD}-${n}`);
  const lineage = JSON.stringify({ parents: [], listed: true, first: true });
  await store.joinWorker(SCOPE, FULL_NAMES);
  await store.putShards(
    SCOPE,
    shardIds.map((shardId) => ({ shardId, lineage })),
  );
  for (let n = 1; n <= ROUNDS; n += 1) {
    const held = await store.acquireLeases(SCOPE, FULL_NAMES, shardIds);
    const writes = held.map(({ shardId, fence }) => ({
      shardId,
      fence,
      checkpoint: { kind: "position", sequenceNumber: number(n) } as const,
    }));
    await store.setCheckpoints(SCOPE, writes);
    await store.heartbeat(SCOPE, FULL_NAMES);
    await store.releaseLeases(SCOPE, held);
  }
  await pool.query("SELECT pg_stat_force_next_flush()"); // in the store's session
  const statistics = async (table: string): Promise<{ updated: number; hot: number }> => {
    const { rows } = await admin.query<{ updated: string; hot: string }>(
      `SELECT n_tup_upd AS updated, n_tup_hot_upd AS hot FROM pg_stat_user_tables
       WHERE schemaname = $1 AND relname = $2`,
      [schema, table],
    );
    return { updated: Number(rows[0]?.updated), hot: Number(rows[0]?.hot) };
  };
  for (const [table, updates] of [
    ["kinesis_consumer", SHARDS * (ROUNDS - 1)],
    ["kinesis_consumer_leases", SHARDS * 2 * ROUNDS],
    ["kinesis_consumer_workers", ROUNDS],
    ["kinesis_consumer_revisions", 2 * ROUNDS],
  ] as const) {
    const { updated, hot } = await eventually(
      `all updates of ${table} are in the statistics`,
      () => statistics(table),
      (seen) => seen.updated >= updates,
    );
    expect(hot, `${table}: updates in place, of ${updated}`).toBe(updated);
  }
});

test("writers of one shard at once make no multixact, which a whole server has to vacuum for", async () => {
  const { store, pool, admin, schema } = await alone();
  const second = new pg.Pool(pool.options);
  onTestFinished(() => second.end());
  const other = new PostgresStore({ pool: second, schema, timeoutMs: 60_000 });
  const write = (n: number) => ["a", "b"].map((shardId) => at(n, shardId));
  await store.setCheckpoints(SCOPE, write(1));
  const made = async (): Promise<number> => {
    const { rows } = await admin.query<{ made: string }>("SELECT mxid_age('1'::xid) AS made");
    return Number(rows[0]!.made);
  };
  const before = await made();
  // Both are under way at once, as those of two AllGroups that flush at the same moments.
  const locker = await admin.connect();
  await locker.query(`BEGIN; SELECT FROM ${schema}.kinesis_consumer FOR UPDATE`);
  const flushes = [store.setCheckpoints(SCOPE, write(2)), other.setCheckpoints(SCOPE, write(3))];
  await untilWaiting({ admin, schema }, 2);
  await locker.query("ROLLBACK");
  locker.release();
  await Promise.all(flushes);
  expect(await made()).toBe(before);
});

test("setup() leaves a table alone whose owner has said how full its pages may be", async () => {
  const { store, admin, schema } = await open(inject("postgres"));
  await admin.query(`ALTER TABLE ${schema}.kinesis_consumer SET (fillfactor = 70)`);
  await admin.query(`ALTER TABLE ${schema}.kinesis_consumer_leases RESET (fillfactor)`);
  const options = async (table: string): Promise<unknown> => {
    const { rows } = await admin.query<{ reloptions: readonly string[] }>(
      "SELECT reloptions FROM pg_class WHERE oid = $1::regclass",
      [`${schema}.${table}`],
    );
    return rows[0]!.reloptions.find((option) => option.startsWith("fillfactor"));
  };
  await store.setup();
  expect(await options("kinesis_consumer")).toBe("fillfactor=70");
  expect(await options("kinesis_consumer_leases")).toBe("fillfactor=30");
});

const expected: ExpectedWarnings = ["KC_POSTGRES_STORAGE"];
const locked = { meta: { warnings: expected } };

test(
  "setup() skips the storage of a table that another client has locked, and reports it",
  locked,
  async () => {
    const { store, pool, admin, schema } = await open(inject("postgres"));
    const table = `${schema}.kinesis_consumer_leases`;
    await admin.query(`ALTER TABLE ${table} RESET (fillfactor)`);
    const holder = await admin.connect();
    await holder.query(`BEGIN; LOCK TABLE ${table} IN SHARE UPDATE EXCLUSIVE MODE`); // as VACUUM does
    const warnings: Error[] = [];
    const listen = (warning: Error): void => void warnings.push(warning);
    process.on("warning", listen);
    onTestFinished(() => void process.off("warning", listen));
    try {
      await store.setup();
    } finally {
      await holder.query("ROLLBACK");
      holder.release();
    }
    await eventually(
      "the warning",
      () => warnings.length,
      (count) => count > 0,
    );
    expect(warnings).toMatchObject([
      { code: "KC_POSTGRES_STORAGE", message: expect.stringContaining("Run setup() again") },
    ]);
    expect((await store.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
    await store.setup();
    const { rows } = await pool.query("SELECT reloptions FROM pg_class WHERE oid = $1::regclass", [
      table,
    ]);
    expect(rows[0].reloptions).toContain("fillfactor=30");
  },
);

test("a queue of hints that somebody else has filled fails no change", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.close());
  const first = new pg.Client({ connectionString: server.connectionString });
  await first.connect();
  const { rows } = await first.query<{ data_directory: string }>("SHOW data_directory");
  await first.end();
  await server.stop();
  const settings = join(rows[0]!.data_directory, "postgresql.auto.conf");
  appendFileSync(settings, "max_notify_queue_pages = 64\n");
  await server.restart();
  const { store, admin } = await open(server);
  const listener = new pg.Client({ connectionString: server.connectionString });
  onTestFinished(() => listener.end());
  await listener.connect();
  await listener.query("LISTEN somebody");
  await listener.query("BEGIN; SELECT 1");
  let error: unknown;
  for (let n = 0; n < 1000 && error === undefined; n += 1) {
    error = await admin.query("SELECT pg_notify('somebody', repeat('x', 7000))").then(
      () => undefined,
      (reason: unknown) => reason,
    );
  }
  expect(error, "the queue is full").toMatchObject({ code: "54000" });
  expect(await store.joinWorker(SCOPE, WORKER)).toMatchObject({ outcome: "joined" });
  await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
  expect(await store.acquireLeases(SCOPE, WORKER, [SHARD])).toHaveLength(1);
});

test("a shard's end has its last record's number in Go's column, or keeps the one that stood there", async () => {
  const { store, admin, schema } = await open(inject("postgres"));
  const end = (sequenceNumber?: string) => ({
    shardId: SHARD,
    checkpoint: shardEndAt(sequenceNumber),
  });
  await store.setCheckpoint(SCOPE, at(9));
  await store.setCheckpoint(SCOPE, end("16"));
  expect(await storedNumber(admin, schema, SHARD)).toBe("16");
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(shardEndAt("16"));
  await store.resetCheckpoint(SCOPE, SHARD, at(9).checkpoint);
  await store.setCheckpoint(SCOPE, end());
  expect(await storedNumber(admin, schema, SHARD)).toBe("9");
});
