import type { LeaseStore, WorkerMembership } from "@kc/core";
import pg from "pg";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { listLeases } from "../src/lease-statements.ts";
import { tablesOf } from "../src/tables.ts";
import { NAMESPACE, SCOPE, SHARD, WORKER } from "./support/leases.ts";
import { at, open, untilWaiting, WaitingClient, type Opened } from "./support/open.ts";

const worker = (workerId: string, incarnation = "1"): WorkerMembership => ({
  ...WORKER,
  workerId,
  incarnation,
});
const rowsOf = (shardIds: readonly string[]) =>
  shardIds.map((shardId) => ({ shardId, lineage: "{}" }));

/** Another process on the same tables, with connections of its own, which waits for locks. */
function another({ schema }: Opened): PostgresStore {
  const { connectionString } = inject("postgres");
  const connection = { connectionString, Client: WaitingClient };
  const store = new PostgresStore({ connection, schema, timeoutMs: 60_000 });
  onTestFinished(() => store[Symbol.asyncDispose]());
  return store;
}

/** A transaction of another client that lasts until `ROLLBACK`. */
async function hold({ admin }: Opened, sql: string) {
  const holder = await admin.connect();
  onTestFinished(async () => {
    await holder.query("ROLLBACK");
    holder.release();
  });
  await holder.query(`BEGIN; ${sql}`);
  return holder;
}

test("every call is one round trip, whatever number of shards it is about", async () => {
  const { store, pool } = await open(inject("postgres"));
  let texts = 0;
  const client = await pool.connect();
  const query = client.query.bind(client);
  Reflect.set(client, "query", (text: string) => ((texts += 1), query(text)));
  client.release();
  const shardIds = Array.from({ length: 300 }, (_, n) => `shard-${n}`);
  const once = async <Answer>(what: string, call: Promise<Answer>): Promise<Answer> => {
    const answer = await call;
    expect(texts, what).toBe(1);
    texts = 0;
    return answer;
  };
  await once("a join", store.joinWorker(SCOPE, WORKER));
  await once("a heartbeat", store.heartbeat(SCOPE, WORKER));
  await once("the workers", store.listWorkers(SCOPE));
  await once("new shards", store.putShards(SCOPE, rowsOf(shardIds)));
  const held = await once("a claim", store.acquireLeases(SCOPE, WORKER, shardIds));
  expect(held).toHaveLength(300);
  const writes = held.map(({ shardId, fence }) => ({ ...at(1, shardId), fence }));
  await once("a flush", store.setCheckpoints(SCOPE, writes));
  await once(
    "a flush of one",
    store.setCheckpoint(SCOPE, { ...writes[0]!, ...at(2, writes[0]!.shardId) }),
  );
  await once("a flush without leases", store.setCheckpoints(SCOPE, [at(1, "free")]));
  await once("the leases", store.listLeases(SCOPE));
  await once("a release", store.releaseLeases(SCOPE, held));
  await once("a removal", store.removeShards(SCOPE, shardIds));
  await once("an eviction", store.evictWorker(SCOPE, { ...WORKER, counter: 1 }));
  await once("a leave", store.leaveWorker(SCOPE, WORKER));
});

test("a listing looks each checkpoint up by its key, in tables that were never analyzed", async () => {
  const { store, admin, schema } = await open(inject("postgres"));
  for (const table of ["kinesis_consumer", "kinesis_consumer_leases"]) {
    await admin.query(`ALTER TABLE ${schema}.${table} SET (autovacuum_enabled = off)`);
  }
  const shardIds = Array.from({ length: 2000 }, (_, n) => `shard-${n}`);
  await store.joinWorker(SCOPE, WORKER);
  await store.putShards(SCOPE, rowsOf(shardIds));
  await store.setCheckpoints(
    SCOPE,
    shardIds.map((shardId) => at(1, shardId)),
  );
  const tables = tablesOf({ table: "kinesis_consumer", schema });
  const [, , list] = listLeases({
    tables,
    scope: SCOPE,
    namespace: NAMESPACE,
    channel: "",
    quote: (value) => pg.escapeLiteral(value),
  });
  const { rows } = await admin.query<Record<"QUERY PLAN", string>>(`EXPLAIN ANALYZE ${list}`);
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  expect(plan).toContain("rows=2000");
  expect(plan, "each compared with each").not.toContain("Rows Removed by Join Filter");
});

test("10,000 shards are put, claimed, listed, given back and removed within the time of a call", async () => {
  const { store } = await open(inject("postgres"));
  const shardIds = Array.from({ length: 10_000 }, (_, n) => `shard-${n}`);
  for (let n = 0; n < 200; n += 1) await store.joinWorker(SCOPE, worker(`w${n}`));
  await store.putShards(SCOPE, rowsOf(shardIds));
  const held = await store.acquireLeases(SCOPE, worker("w7"), shardIds);
  expect(held).toHaveLength(10_000);
  await store.leaveWorker(SCOPE, worker("w7"));
  const next = await store.acquireLeases(SCOPE, worker("w8"), shardIds);
  expect(next).toHaveLength(10_000);
  expect(await store.acquireLeases(SCOPE, worker("w9"), shardIds), "of a live one").toEqual([]);
  expect((await store.listLeases(SCOPE)).leases).toHaveLength(10_000);
  expect(await store.releaseLeases(SCOPE, next)).toHaveLength(10_000);
  await store.removeShards(SCOPE, shardIds);
  expect((await store.listLeases(SCOPE)).leases).toEqual([]);
});

describe("a heartbeat", () => {
  const others: readonly [string, (schema: string) => string][] = [
    ["a flush or a claim", (schema) => `SELECT FROM ${schema}.kinesis_consumer_leases FOR UPDATE`],
    [
      "a change of the revision",
      (schema) => `UPDATE ${schema}.kinesis_consumer_revisions SET revision = 99`,
    ],
    [
      "another's heartbeat, or its eviction",
      (schema) => `DELETE FROM ${schema}.kinesis_consumer_workers WHERE worker_id = 'other'`,
    ],
  ];
  test.each(others)(
    "does not wait for a client in the middle of %s, nor do listings",
    async (_, sql) => {
      const opened = await open(inject("postgres"));
      const { store, schema } = opened;
      await store.joinWorker(SCOPE, WORKER);
      await store.joinWorker(SCOPE, worker("other"));
      await store.putShards(SCOPE, rowsOf([SHARD]));
      await hold(opened, sql(schema));
      const { revision } = await store.listWorkers(SCOPE);
      const answer = await store.heartbeat(SCOPE, WORKER);
      expect(answer).toEqual({ outcome: "alive", counter: 1, revision });
      expect((await store.listLeases(SCOPE)).revision).toBe(revision);
    },
  );

  test("that an eviction overtakes is refused, and one that is first saves the worker", async () => {
    const opened = await open(inject("postgres"), { Client: WaitingClient, timeoutMs: 60_000 });
    const { store, schema } = opened;
    const observer = another(opened);
    const tally = { evicted: 0, alive: 0 };
    for (let round = 0; round < 60; round += 1) {
      const victim = worker("victim", String(round));
      await store.joinWorker(SCOPE, victim);
      // Both wait for the row in the order in which they come, and then meet what the first left.
      const row = `SELECT FROM ${schema}.kinesis_consumer_workers FOR UPDATE`;
      const holder = await opened.admin.connect();
      await holder.query(`BEGIN; ${row}`);
      const calls = [
        () => store.heartbeat(SCOPE, victim),
        () => observer.evictWorker(SCOPE, { ...victim, counter: 0 }),
      ] as const;
      const first = round % 2 === 0 ? calls[0]() : calls[1]();
      await untilWaiting(opened, 1);
      const second = round % 2 === 0 ? calls[1]() : calls[0]();
      await untilWaiting(opened, 2);
      await holder.query("ROLLBACK");
      holder.release();
      const [one, two] = await Promise.all([first, second]);
      const [beat, evicted] = (round % 2 === 0 ? [one, two] : [two, one]) as [
        Awaited<ReturnType<LeaseStore["heartbeat"]>>,
        Awaited<ReturnType<LeaseStore["evictWorker"]>>,
      ];
      expect([beat.outcome, evicted]).toEqual(
        beat.outcome === "alive" ? ["alive", "moved"] : ["evicted", "evicted"],
      );
      tally[beat.outcome] += 1;
      await store.leaveWorker(SCOPE, victim);
    }
    expect(Math.min(tally.alive, tally.evicted), "each was first").toBeGreaterThan(0);
  });
});

test("a claim that waits for a lease sees who joined and claimed it meanwhile", async () => {
  const opened = await open(inject("postgres"), { Client: WaitingClient, timeoutMs: 60_000 });
  const { store, schema } = opened;
  await store.joinWorker(SCOPE, WORKER);
  await store.putShards(SCOPE, rowsOf([SHARD]));
  const workers = `${schema}.kinesis_consumer_workers`;
  const holder = await hold(
    opened,
    `UPDATE ${schema}.kinesis_consumer_leases SET owner = 'late#1', epoch = 1;
     INSERT INTO ${workers} SELECT namespace, 'late', '1', 1, NULL, 0 FROM ${workers}`,
  );
  const claim = store.acquireLeases(SCOPE, WORKER, [SHARD]);
  await untilWaiting(opened, 1);
  await holder.query("COMMIT");
  expect(await claim).toEqual([]);
  expect((await store.listLeases(SCOPE)).leases[0]).toMatchObject({ owner: "late#1", epoch: 1 });
});

describe("a lease that another transaction has locked", () => {
  const lockOf = (schema: string, shardId: string): string =>
    `SELECT FROM ${schema}.kinesis_consumer_leases WHERE shard_id = '${shardId}' FOR UPDATE`;

  test("keeps no other from being claimed, and no heartbeat, flush or claim waits for it", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    const [store, other] = [another(opened), another(opened)];
    const late = worker("late");
    await store.joinWorker(SCOPE, WORKER);
    await store.joinWorker(SCOPE, late);
    await store.putShards(SCOPE, rowsOf(["a", "b", "c", "d"]));
    const [held] = await store.acquireLeases(SCOPE, WORKER, ["a"]);
    const holder = await hold(opened, lockOf(schema, "b"));
    const claim = store.acquireLeases(SCOPE, WORKER, ["a", "b", "c"]);
    await untilWaiting(opened, 1);
    // It waits for the locked row, and holds none.
    await admin.query(
      `SELECT FROM ${schema}.kinesis_consumer_leases WHERE shard_id <> 'b' FOR UPDATE NOWAIT`,
    );
    const owners = (await other.listLeases(SCOPE)).leases.map(({ shardId, owner }) => [
      shardId,
      owner,
    ]);
    expect(new Map(owners.map(([id, owner]) => [id, owner]))).toEqual(
      new Map([
        ["a", "worker#1"],
        ["b", undefined],
        ["c", "worker#1"],
        ["d", undefined],
      ]),
    );
    expect(await store.heartbeat(SCOPE, WORKER)).toMatchObject({ outcome: "alive", counter: 1 });
    const write = { ...at(5, "a"), fence: held!.fence };
    expect(await other.setCheckpoint(SCOPE, write)).toMatchObject({ outcome: "written" });
    expect(await other.acquireLeases(SCOPE, late, ["a", "c", "d"])).toMatchObject([
      { shardId: "d" },
    ]);
    await holder.query("ROLLBACK");
    const claimed = await claim;
    expect(claimed.map(({ shardId }) => shardId).toSorted()).toEqual(["a", "b", "c"]);
    expect(claimed.every(({ fence }) => fence.epoch === 1)).toBe(true);
  });

  test("is passed over when it was waited for in vain, and by later claims without a wait", async () => {
    const opened = await open(inject("postgres"));
    const { store, pool, schema } = opened;
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, rowsOf(["a", "b", "c"]));
    const holder = await hold(opened, lockOf(schema, "b"));
    const client = await pool.connect();
    const query = client.query.bind(client);
    let texts = 0;
    Reflect.set(client, "query", (text: string) => ((texts += 1), query(text)));
    client.release();
    const claim = async (...shardIds: string[]) => {
      texts = 0;
      const leases = await store.acquireLeases(SCOPE, WORKER, shardIds);
      return [...leases.map(({ shardId }) => shardId).toSorted(), `in ${texts} texts`];
    };
    expect(await claim("b")).toEqual(["in 2 texts"]);
    expect(await claim("a", "b")).toEqual(["a", "in 1 texts"]);
    await holder.query("ROLLBACK");
    expect(await claim("b", "c")).toEqual(["b", "c", "in 1 texts"]);
    const [, , lease] = (await store.listLeases(SCOPE)).leases;
    expect(lease).toMatchObject({ epoch: 1, owner: "worker#1" });
    await store.releaseLeases(SCOPE, [{ shardId: "b", fence: { epoch: 1, owner: "worker#1" } }]);
    await hold(opened, lockOf(schema, "b"));
    expect(await claim("b"), "another time").toEqual(["in 2 texts"]);
  });

  test("is not taken from who joined and claimed it since the claim looked for free ones", async () => {
    const opened = await open(inject("postgres"), { Client: WaitingClient, timeoutMs: 60_000 });
    const { store, schema } = opened;
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, rowsOf([SHARD]));
    const workers = `${schema}.kinesis_consumer_workers`;
    // Who looks at the workers waits in the middle of its statement, while another transaction says so.
    const key = `hashtext('${schema}')`;
    await opened.admin.query(
      `ALTER TABLE ${workers} RENAME TO workers;
       CREATE FUNCTION ${schema}.pause() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
         PERFORM pg_advisory_xact_lock_shared(${key});
         RETURN true;
       END $$;
       CREATE VIEW ${workers} AS SELECT * FROM ${schema}.workers WHERE ${schema}.pause()`,
    );
    const holder = await hold(opened, `SELECT pg_advisory_xact_lock(${key})`);
    const claim = store.acquireLeases(SCOPE, WORKER, [SHARD]);
    await untilWaiting(opened, 1);
    await holder.query(
      `INSERT INTO ${schema}.workers SELECT namespace, 'late', '1', 1, NULL, 0 FROM ${schema}.workers;
       UPDATE ${schema}.kinesis_consumer_leases SET owner = 'late#1', epoch = 1;
       COMMIT`,
    );
    expect(await claim).toEqual([]);
    expect((await store.listLeases(SCOPE)).leases[0]).toMatchObject({ owner: "late#1", epoch: 1 });
  });
});

/** Another process's store, which counts the deadlocks that its statements meet. */
function countingDeadlocks({ schema }: Opened, count: () => void): PostgresStore {
  const { connectionString } = inject("postgres");
  const pool = new pg.Pool({ connectionString, Client: WaitingClient, max: 2 });
  onTestFinished(() => pool.end());
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (text: string) => Promise<unknown>;
    const counted = (text: string): Promise<unknown> =>
      query(text).catch((error: unknown) => {
        if (Object(error).code === "40P01") count();
        throw error;
      });
    Reflect.set(client, "query", counted);
  });
  return new PostgresStore({ pool, schema, timeoutMs: 60_000 });
}

test("claims, releases, flushes, evictions, removals and new shards at once end without a deadlock", async () => {
  const opened = await open(inject("postgres"));
  let deadlocks = 0;
  const stores = [0, 1, 2].map(() => countingDeadlocks(opened, () => (deadlocks += 1)));
  const shardIds = Array.from({ length: 60 }, (_, n) => `shard-${n}`);
  const rounds = async (store: PostgresStore, own: number): Promise<number> => {
    let claimed = 0;
    for (let n = 0; n < 15; n += 1) {
      const me = worker(`w${own}`, String(n));
      const order = (n + own) % 2 === 0 ? shardIds : shardIds.toReversed();
      await store.joinWorker(SCOPE, me);
      await store.putShards(SCOPE, rowsOf(order));
      const held = await store.acquireLeases(SCOPE, me, order);
      claimed += held.length;
      const writes = held.map(({ shardId, fence }) => ({ ...at(n + 1, shardId), fence }));
      const [answers] = await Promise.all([
        store.setCheckpoints(SCOPE, writes),
        store.heartbeat(SCOPE, me),
      ]);
      const lost = answers.filter(({ outcome }) => outcome === "lease-lost");
      expect(lost, "of a live worker").toEqual([]);
      const half = held.slice(held.length / 2);
      expect(await store.releaseLeases(SCOPE, half)).toHaveLength(half.length);
      await store.removeShards(SCOPE, order.slice(0, 5));
      await store.evictWorker(SCOPE, { ...me, counter: 1 });
    }
    return claimed;
  };
  const claimed = await Promise.all(stores.map((store, own) => rounds(store, own)));
  expect(claimed.reduce((sum, count) => sum + count)).toBeGreaterThan(60);
  expect(deadlocks, "tried again by the store").toBe(0);
});

test("a checkpoint without a lease is removed too, and one whose lease is held is not", async () => {
  const { store } = await open(inject("postgres"));
  await store.setCheckpoint(SCOPE, at(1, "a"));
  await store.joinWorker(SCOPE, WORKER);
  await store.putShards(SCOPE, rowsOf(["b"]));
  const [lease] = await store.acquireLeases(SCOPE, WORKER, ["b"]);
  await store.setCheckpoint(SCOPE, { ...at(2, "b"), fence: lease!.fence });
  await store.removeShards(SCOPE, ["a", "b", "c"]);
  expect(await store.getCheckpoints(SCOPE)).toEqual(new Map([["b", at(2).checkpoint]]));
});

test("a weight is kept to its last bit, whatever the user's extra_float_digits", async () => {
  const opened = await open(inject("postgres"));
  await opened.pool.query("SET extra_float_digits = -15");
  const weight = 0.1 + 0.2;
  await opened.store.joinWorker(SCOPE, { ...WORKER, weight, maxShards: 3 });
  const { workers } = await opened.store.listWorkers(SCOPE);
  expect(workers).toEqual([{ ...WORKER, weight, maxShards: 3, counter: 0 }]);
});
