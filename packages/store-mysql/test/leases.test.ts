import type { WorkerMembership } from "@kc/core";
import type { QueryOptions } from "mysql2";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { MysqlStore } from "../src/index.ts";
import { ownDatabase, ownPool, SERVERS, type Database } from "./support/servers.ts";
import { watched } from "./support/statements.ts";
import {
  at,
  CLAIM,
  NAMESPACE,
  openStore,
  SCOPE,
  shard,
  SHARD,
  UNAVAILABLE,
  WORKER,
  writeOf,
} from "./support/store.ts";

const worker = (workerId: string, incarnation = "1"): WorkerMembership => ({
  ...WORKER,
  workerId,
  incarnation,
});
const rowsOf = (shardIds: readonly string[]) =>
  shardIds.map((shardId) => ({ shardId, lineage: "{}" }));
const shards = (count: number): string[] => Array.from({ length: count }, (_, n) => shard(n));

/** By its key: a scan would lock all rows of the table. */
const lockOf = (table: string, shardId: string): string =>
  `SELECT * FROM ${table} WHERE namespace = '${NAMESPACE}' AND shard_id = '${shardId}' FOR UPDATE`;

describe.each(SERVERS)("leases on $name", ({ address }) => {
  let database: Database;
  let store: MysqlStore;

  beforeEach(async () => {
    database = await ownDatabase(address);
    store = openStore({ connection: database.options });
    await store.setup();
  });

  /** As statements call it. */
  const tableOf = (suffix: string): string => `\`${database.name}\`.\`kinesis_consumer_${suffix}\``;

  /** A transaction of another client that lasts until `ROLLBACK`. */
  async function hold(...statements: readonly string[]) {
    const holder = await database.admin.getConnection();
    onTestFinished(async () => {
      await holder.query("ROLLBACK");
      holder.release();
    });
    await holder.query("START TRANSACTION");
    for (const statement of statements) await holder.query(statement);
    return holder;
  }

  it("work in a database that the option alone names, on connections that have none", async () => {
    const { database: name, ...server } = database.options;
    const own = openStore({ connection: server, database: name! });
    await own.joinWorker(SCOPE, WORKER);
    await own.joinWorker(SCOPE, worker("other"));
    await own.putShards(SCOPE, rowsOf(shards(3)));
    const held = await own.acquireLeases(SCOPE, WORKER, shards(3));
    expect(held).toHaveLength(3);
    const [{ fence }] = held as [(typeof held)[0]];
    const [write] = await own.setCheckpoints(SCOPE, [{ ...writeOf(at(5)), fence }]);
    expect(write).toMatchObject({ outcome: "written" });
    expect(await own.releaseLeases(SCOPE, held.slice(1))).toHaveLength(2);
    await own.resetCheckpoint(SCOPE, SHARD, undefined, { force: true });
    expect(await own.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
    await own.removeShards(SCOPE, shards(3));
    expect((await own.listLeases(SCOPE)).leases).toEqual([]);
    expect(await own.evictWorker(SCOPE, { ...worker("other"), counter: 0 })).toBe("evicted");
    expect(await own.heartbeat(SCOPE, WORKER)).toMatchObject({ outcome: "alive" });
    await own.leaveWorker(SCOPE, WORKER);
    expect((await own.listWorkers(SCOPE)).workers).toEqual([]);
  });

  it("take few round trips, whatever number of shards a call is about", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    const own = openStore({ pool });
    await own.listWorkers(SCOPE);
    let statements = 0;
    const connection = await pool.getConnection();
    const { connection: raw } = connection;
    const query = raw.query.bind(raw) as (...parts: unknown[]) => unknown;
    Reflect.set(raw, "query", (...parts: unknown[]) => ((statements += 1), query(...parts)));
    connection.release();
    const shardIds = shards(300);
    const counted = async <Answer>(what: string, most: number, call: Promise<Answer>) => {
      const answer = await call;
      expect(statements, what).toBeGreaterThan(0);
      expect(statements, what).toBeLessThanOrEqual(most);
      statements = 0;
      return answer;
    };
    await counted("a join", 5, own.joinWorker(SCOPE, WORKER));
    await counted("a heartbeat", 2, own.heartbeat(SCOPE, WORKER));
    await counted("the workers", 2, own.listWorkers(SCOPE));
    await counted("new shards", 4, own.putShards(SCOPE, rowsOf(shardIds)));
    // Their revision may still be owed: who puts them has not seen them.
    await counted("the same shards", 3, own.putShards(SCOPE, rowsOf(shardIds)));
    const held = await counted("a claim", 5, own.acquireLeases(SCOPE, WORKER, shardIds));
    expect(held).toHaveLength(300);
    const writes = (n: number) =>
      held.map(({ shardId, fence }) => ({ ...writeOf(at(n), shardId), fence }));
    await counted("a first flush", 2, own.setCheckpoints(SCOPE, writes(1)));
    const flushed = await counted("a flush", 1, own.setCheckpoints(SCOPE, writes(2)));
    expect(flushed.every(({ outcome }) => outcome === "written")).toBe(true);
    const again = await counted("the same flush", 2, own.setCheckpoints(SCOPE, writes(2)));
    expect(again.every(({ outcome }) => outcome === "same")).toBe(true);
    await counted("the leases", 2, own.listLeases(SCOPE));
    await counted("a release", 4, own.releaseLeases(SCOPE, held));
    await counted("a removal", 4, own.removeShards(SCOPE, shardIds));
    await counted("an eviction", 4, own.evictWorker(SCOPE, { ...WORKER, counter: 1 }));
    await counted("a leave", 2, own.leaveWorker(SCOPE, WORKER));
  });

  it("of 10,000 shards are put, claimed, listed, given back and removed", async () => {
    const shardIds = shards(10_000);
    for (let n = 0; n < 20; n += 1) await store.joinWorker(SCOPE, worker(`w${n}`));
    await store.putShards(SCOPE, rowsOf(shardIds));
    expect(await store.acquireLeases(SCOPE, worker("w7"), shardIds)).toHaveLength(10_000);
    await store.leaveWorker(SCOPE, worker("w7"));
    const next = await store.acquireLeases(SCOPE, worker("w8"), shardIds);
    expect(next).toHaveLength(10_000);
    expect(await store.acquireLeases(SCOPE, worker("w9"), shardIds), "a live one's").toEqual([]);
    expect((await store.listLeases(SCOPE)).leases).toHaveLength(10_000);
    expect(await store.releaseLeases(SCOPE, next)).toHaveLength(10_000);
    await store.removeShards(SCOPE, shardIds);
    expect((await store.listLeases(SCOPE)).leases).toEqual([]);
  });

  it.each([
    ["a flush or a claim", "SELECT * FROM kinesis_consumer_leases FOR UPDATE"],
    ["a change of the revision", "UPDATE kinesis_consumer_revisions SET revision = 99"],
    [
      "another's eviction",
      `DELETE FROM kinesis_consumer_workers
       WHERE namespace = '${NAMESPACE}' AND worker_id = 'other'`,
    ],
  ])("that are in the middle of %s let heartbeats and listings pass", async (_, statement) => {
    await store.joinWorker(SCOPE, WORKER);
    await store.joinWorker(SCOPE, worker("other"));
    await store.putShards(SCOPE, rowsOf([SHARD]));
    const { revision } = await store.listWorkers(SCOPE);
    await hold(statement);
    const answer = await store.heartbeat(SCOPE, WORKER);
    expect(answer).toStrictEqual({ outcome: "alive", counter: 1, revision });
    expect((await store.listWorkers(SCOPE)).revision).toBe(revision);
    expect((await store.listLeases(SCOPE)).revision).toBe(revision);
  });

  it("let a heartbeat pass a flush of the same store that waits for a lock", async () => {
    await store.joinWorker(SCOPE, WORKER);
    await store.setCheckpoint(SCOPE, writeOf(at(1)));
    const holder = await hold("SELECT * FROM kinesis_consumer_leases FOR UPDATE");
    let flushed = false;
    const flush = store.setCheckpoint(SCOPE, writeOf(at(2))).then(() => (flushed = true));
    for (let counter = 1; counter <= 3; counter += 1) {
      expect(await store.heartbeat(SCOPE, WORKER)).toMatchObject({ outcome: "alive", counter });
      expect((await store.listWorkers(SCOPE)).workers).toHaveLength(1);
    }
    expect(flushed).toBe(false);
    await holder.query("ROLLBACK");
    await flush;
  });

  it.each(["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])(
    "let their claimer's heartbeats pass while the claim waits for another's transaction, in a pool of %s",
    async (level) => {
      const pool = ownPool(database.options);
      pool.on("connection", (connection) => {
        void connection.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
      });
      const claimer = openStore({ pool });
      const all = shards(3);
      await claimer.joinWorker(SCOPE, WORKER);
      await claimer.putShards(SCOPE, rowsOf(all));
      await claimer.setCheckpoints(
        SCOPE,
        all.map((shardId) => writeOf(at(1), shardId)),
      );
      const holder = await hold();
      let counter = 0;
      for (const table of ["kinesis_consumer_leases", "kinesis_consumer"]) {
        for (const shardIds of [all, all.slice(1, 2)]) {
          await holder.query("START TRANSACTION");
          await holder.query(lockOf(table, shard(1)));
          const claim = claimer.acquireLeases(SCOPE, WORKER, shardIds);
          await database.waitsForRow(CLAIM);
          await database.admin.query("SELECT * FROM kinesis_consumer_workers FOR UPDATE NOWAIT");
          const alive = { outcome: "alive", counter: (counter += 1) };
          expect(await claimer.heartbeat(SCOPE, WORKER)).toMatchObject(alive);
          await holder.query("ROLLBACK");
          await claim; // on a slow machine it has left the locked one out
          const held = await claimer.acquireLeases(SCOPE, WORKER, shardIds);
          expect(held).toMatchObject(shardIds.map((shardId) => ({ shardId, checkpoint: at(1) })));
          await claimer.releaseLeases(SCOPE, held);
        }
      }
    },
  );

  it("that another's transaction has locked keep no other lease from being claimed, and no flush", async () => {
    const [own, other] = [1, 2].map(() =>
      openStore({ connection: database.options, timeoutMs: 60_000 }),
    ) as [MysqlStore, MysqlStore];
    const [first, free, ...locked] = shards(4) as [string, string, string, string];
    const [ofLease, ofCheckpoint] = locked;
    await own.joinWorker(SCOPE, WORKER);
    await own.putShards(SCOPE, rowsOf(shards(4)));
    await own.setCheckpoint(SCOPE, writeOf(at(1), ofCheckpoint));
    const [held] = await own.acquireLeases(SCOPE, WORKER, [first]);
    const holder = await hold(
      lockOf("kinesis_consumer_leases", ofLease),
      lockOf("kinesis_consumer", ofCheckpoint),
    );
    const ofAll = own.acquireLeases(SCOPE, WORKER, shards(4));
    const ofLocked = other.acquireLeases(SCOPE, WORKER, locked);
    const write = { ...writeOf(at(5), first), fence: held!.fence };
    expect(await other.setCheckpoint(SCOPE, write)).toMatchObject({ outcome: "written" });
    expect((await ofAll).map(({ shardId }) => shardId)).toEqual([first, free]);
    await holder.query("ROLLBACK");
    await ofLocked;
    expect(await other.acquireLeases(SCOPE, WORKER, locked)).toMatchObject([
      { shardId: ofLease, checkpoint: undefined },
      { shardId: ofCheckpoint, checkpoint: at(1) },
    ]);
  });

  it("that a claim waits for are seen as they became: taken by who joined meanwhile", async () => {
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, rowsOf([SHARD]));
    const holder = await hold(
      "UPDATE kinesis_consumer_leases SET owner = 'late#1', epoch = 1",
      `INSERT INTO kinesis_consumer_workers VALUES ('${NAMESPACE}', 'late', '1', 1, NULL, 0)`,
    );
    const claim = store.acquireLeases(SCOPE, WORKER, [SHARD]);
    await database.waitsForRow(CLAIM);
    await holder.query("COMMIT");
    expect(await claim).toEqual([]);
    const [lease] = (await store.listLeases(SCOPE)).leases;
    expect(lease).toMatchObject({ owner: "late#1", epoch: 1 });
  });

  it("are not claimed by a worker whose eviction comes first, at the weaker isolation level", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    pool.on("connection", (connection) => {
      void connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    });
    const claimer = openStore({ pool });
    await claimer.joinWorker(SCOPE, WORKER);
    await claimer.putShards(SCOPE, rowsOf([SHARD]));
    const holder = await hold("DELETE FROM kinesis_consumer_workers");
    const claim = claimer.acquireLeases(SCOPE, WORKER, [SHARD]);
    await database.waitsForRow(CLAIM);
    await holder.query("COMMIT");
    expect(await claim).toEqual([]);
    const { leases } = await store.listLeases(SCOPE);
    expect(leases).toMatchObject([{ owner: undefined, epoch: 0 }]);
  });

  it("are seen with no revision that is taken back, in a pool of READ UNCOMMITTED", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    pool.on("connection", (connection) => {
      void connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    });
    const dirty = openStore({ pool });
    await store.joinWorker(SCOPE, WORKER);
    const { revision } = await store.listWorkers(SCOPE);
    await hold("UPDATE kinesis_consumer_revisions SET revision = 99");
    expect(await dirty.heartbeat(SCOPE, WORKER)).toMatchObject({ revision });
    expect((await dirty.listWorkers(SCOPE)).revision).toBe(revision);
    expect((await dirty.listLeases(SCOPE)).revision).toBe(revision);
  });

  it("that a late release has freed are reported by its next try", async () => {
    const { pool, watch } = await watched(ownPool({ ...database.options, connectionLimit: 1 }));
    const own = openStore({ pool });
    await own.joinWorker(SCOPE, WORKER);
    await own.putShards(SCOPE, rowsOf([SHARD]));
    const held = await own.acquireLeases(SCOPE, WORKER, [SHARD]);
    let late = "";
    const gaveUp = new AbortController();
    watch((sql) => {
      if (!sql.includes("SET l.owner = NULL")) return "sent";
      late = sql;
      gaveUp.abort();
      return "unsent";
    });
    const release = own.releaseLeases(SCOPE, held, { signal: gaveUp.signal });
    await expect(release).rejects.toThrow("aborted");
    await own.heartbeat(SCOPE, WORKER); // it raises the revision
    await database.admin.query(late);
    const { revision } = await store.listWorkers(SCOPE);
    expect(await own.releaseLeases(SCOPE, held)).toEqual([]);
    expect((await store.listWorkers(SCOPE)).revision).toBeGreaterThan(revision);
  });

  it.each([
    ["makes a row", "{}", undefined],
    ["replaces a lineage", '{"parents":[]}', "{}"],
  ])(
    "are put by a late call that %s: its next try raises the revision",
    async (_, lineage, replaces) => {
      const { pool, watch } = await watched(ownPool({ ...database.options, connectionLimit: 1 }));
      const own = openStore({ pool });
      await own.joinWorker(SCOPE, WORKER);
      if (replaces !== undefined) {
        await own.putShards(SCOPE, [{ shardId: SHARD, lineage: replaces }]);
      }
      const put = [{ shardId: SHARD, lineage, ...(replaces === undefined ? {} : { replaces }) }];
      let late = "";
      const gaveUp = new AbortController();
      watch((sql) => {
        if (!/INSERT INTO \S*`kinesis_consumer_leases`|SET l.lineage/.test(sql)) return "sent";
        late = sql;
        gaveUp.abort();
        return "unsent";
      });
      const putting = own.putShards(SCOPE, put, { signal: gaveUp.signal });
      await expect(putting).rejects.toThrow("aborted");
      await own.heartbeat(SCOPE, WORKER); // it raises the revision
      await database.admin.query(late);
      const { revision } = await store.listWorkers(SCOPE);
      await own.putShards(SCOPE, put);
      expect((await store.listWorkers(SCOPE)).revision).toBeGreaterThan(revision);
    },
  );

  it("that change while a heartbeat raises the revision get one of their own", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 2 });
    const gates = new Map<string, { reached: () => void; answered: Promise<void> }>();
    /** The answer of the next such statement waits for `answer`. */
    const holdBack = (text: string): { reached: Promise<void>; answer: () => void } => {
      let answer = (): void => undefined;
      const answered = new Promise<void>((resolve) => (answer = resolve));
      const reached = new Promise<void>((resolve) =>
        gates.set(text, { reached: resolve, answered }),
      );
      return { reached, answer };
    };
    const own = openStore({
      pool: {
        async getConnection() {
          const connection = await pool.getConnection();
          return {
            connection: connection.connection,
            release: () => connection.release(),
            destroy: () => connection.destroy(),
            async query(query) {
              const answer = await connection.query(query as QueryOptions);
              const text = [...gates.keys()].find((each) => query.sql.includes(each));
              const gate = text === undefined ? undefined : gates.get(text);
              if (text !== undefined) gates.delete(text);
              gate?.reached();
              await gate?.answered;
              return answer;
            },
          };
        },
      },
    });
    await own.joinWorker(SCOPE, WORKER);
    await own.joinWorker(SCOPE, worker("gone"));
    await own.putShards(SCOPE, rowsOf([SHARD]));
    const gaveUp = new AbortController();
    const removal = holdBack(`DELETE ${tableOf("workers")}`);
    const leaving = own.leaveWorker(SCOPE, worker("gone"), gaveUp);
    await removal.reached;
    gaveUp.abort();
    await expect(leaving).rejects.toThrow("aborted");

    const raise = holdBack(`INTO ${tableOf("revisions")}`);
    const beating = own.heartbeat(SCOPE, WORKER);
    await raise.reached;
    const { revision } = await store.listWorkers(SCOPE);
    const claim = holdBack("AS w FORCE INDEX (PRIMARY) ON");
    const claiming = own.acquireLeases(SCOPE, WORKER, [SHARD]);
    await claim.reached; // it stands
    const look = holdBack("c.namespace =");
    claim.answer();
    await look.reached;
    raise.answer();
    await beating;
    look.answer();
    expect(await claiming).toHaveLength(1);
    expect((await store.listWorkers(SCOPE)).revision).toBeGreaterThan(revision);
  });

  it("whose change was not followed by its revision get it from the next heartbeat", async () => {
    const { pool, watch } = await watched(ownPool({ ...database.options, connectionLimit: 1 }));
    const cut = openStore({ pool, timeoutMs: 1500 });
    await cut.joinWorker(SCOPE, WORKER);
    await cut.putShards(SCOPE, rowsOf([SHARD]));
    const { revision } = await store.listWorkers(SCOPE);
    watch((sql) => (sql.includes(`INTO ${tableOf("revisions")}`) ? "unsent" : "sent"));
    await expect(cut.acquireLeases(SCOPE, WORKER, [SHARD])).rejects.toMatchObject(UNAVAILABLE);
    expect((await store.listLeases(SCOPE)).leases).toMatchObject([{ owner: "worker#1" }]);
    expect((await store.listWorkers(SCOPE)).revision).toBe(revision);
    await cut.heartbeat(SCOPE, WORKER);
    expect((await store.listWorkers(SCOPE)).revision).toBe(revision + 1);
    await cut.heartbeat(SCOPE, WORKER);
    expect((await store.listWorkers(SCOPE)).revision).toBe(revision + 1);
  });

  it.each(["READ UNCOMMITTED", "SERIALIZABLE"])(
    "of a live worker stay its own while its eviction is undecided, in a pool of %s",
    async (level) => {
      const pool = ownPool({ ...database.options, connectionLimit: 1 });
      pool.on("connection", (connection) => {
        void connection.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
      });
      const claimer = openStore({ pool });
      await claimer.joinWorker(SCOPE, WORKER);
      await store.joinWorker(SCOPE, worker("live"));
      await store.putShards(SCOPE, rowsOf([SHARD]));
      const [held] = await store.acquireLeases(SCOPE, worker("live"), [SHARD]);
      await store.setCheckpoint(SCOPE, { ...writeOf(at(1)), fence: held!.fence });
      const holder = await hold("DELETE FROM kinesis_consumer_workers WHERE worker_id = 'live'");
      expect(await claimer.acquireLeases(SCOPE, WORKER, [SHARD])).toEqual([]);
      await claimer.removeShards(SCOPE, [SHARD]);
      await holder.query("ROLLBACK");
      const { leases } = await store.listLeases(SCOPE);
      expect(leases).toMatchObject([{ ...held!.fence, checkpoint: at(1) }]);
    },
  );

  it("of a worker that beats while others would evict it: it is refused, or it lives", async () => {
    const observers = [1, 2].map(() => openStore({ connection: database.options }));
    const tally = { alive: 0, evicted: 0 };
    for (let round = 0; round < 100; round += 1) {
      const victim = worker("victim", String(round));
      await store.joinWorker(SCOPE, victim);
      const evict = (observer: MysqlStore) =>
        observer.evictWorker(SCOPE, { ...victim, counter: 0 });
      // One in ten is no race, but one of its two outcomes, so that both are seen on any machine.
      const first = round % 20 === 0 ? await evict(observers[0]!) : undefined;
      const beating = store.heartbeat(SCOPE, victim);
      if (round % 20 === 10) await beating;
      const answers = await Promise.all(observers.map(evict));
      const { outcome } = await beating;
      const evictions = [first, ...answers].filter((answer) => answer === "evicted").length;
      expect(evictions, `${answers.join(", ")}, ${outcome}`).toBe(outcome === "alive" ? 0 : 1);
      tally[outcome] += 1;
      await store.leaveWorker(SCOPE, victim);
    }
    expect(Math.min(tally.alive, tally.evicted)).toBeGreaterThan(0);
  });

  it("are claimed, flushed, given back, removed and put by several at once, to the end", async () => {
    const shardIds = shards(40);
    const rounds = async (own: number): Promise<number> => {
      const mine = openStore({ connection: database.options });
      let claimed = 0;
      for (let n = 0; n < 8; n += 1) {
        const me = worker(`w${own}`, String(n));
        const order = (n + own) % 2 === 0 ? shardIds : shardIds.toReversed();
        await mine.joinWorker(SCOPE, me);
        await mine.putShards(SCOPE, rowsOf(order));
        const held = await mine.acquireLeases(SCOPE, me, order);
        claimed += held.length;
        const writes = held.map(({ shardId, fence }) => ({
          ...writeOf(at(n + 1), shardId),
          fence,
        }));
        const [answers] = await Promise.all([
          mine.setCheckpoints(SCOPE, writes),
          mine.heartbeat(SCOPE, me),
        ]);
        const lost = answers.filter(({ outcome }) => outcome === "lease-lost");
        expect(lost, "of a live worker").toEqual([]);
        const half = held.slice(held.length / 2);
        expect(await mine.releaseLeases(SCOPE, half)).toHaveLength(half.length);
        await mine.removeShards(SCOPE, order.slice(0, 5));
        expect(await mine.evictWorker(SCOPE, { ...me, counter: 1 })).toBe("evicted");
      }
      return claimed;
    };
    const claimed = await Promise.all([0, 1, 2].map(rounds));
    expect(claimed.reduce((sum, count) => sum + count)).toBeGreaterThan(40);
  });

  it("and checkpoints without one are removed; a held one stays", async () => {
    await store.setCheckpoint(SCOPE, writeOf(at(1), "a"));
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, rowsOf(["b"]));
    const [lease] = await store.acquireLeases(SCOPE, WORKER, ["b"]);
    await store.setCheckpoint(SCOPE, { ...writeOf(at(2), "b"), fence: lease!.fence });
    await store.removeShards(SCOPE, ["a", "b", "c"]);
    expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map([["b", at(2)]]));
  });
});
