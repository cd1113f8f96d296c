import { Buffer } from "node:buffer";
import type { ApplicationRow } from "@kc/core";
import { createPool as createCallbackPool } from "mysql2";
import { beforeEach, describe, expect, it } from "vitest";
import type { Pool } from "mysql2/promise";
import type { MysqlStore } from "../src/index.ts";
import { POOLS, REFUSED, SESSIONS } from "./support/settings.ts";
import { SERVERS, ownDatabase, ownPool, type Database } from "./support/servers.ts";
import {
  at,
  CLOSED,
  expectFailure,
  openStore,
  SHARD,
  shard,
  UNAVAILABLE,
  WORKER,
  writeOf,
} from "./support/store.ts";

const SCOPE = { application: `o'brien \\ "注文" 🦊 ?`, streamName: "orders" };
const ROW: ApplicationRow = {
  ...SCOPE,
  streamARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
  streamCreationTimestamp: new Date(1_700_000_000_123),
  start: { timestamp: new Date(1_700_000_000_456) },
  startedAt: new Date(1_700_000_000_789),
  migrated: true,
};

describe.each(SERVERS)("a pool that was handed in, on $name", ({ address }) => {
  let database: Database;

  beforeEach(async () => {
    database = await ownDatabase(address);
  });

  /** Everything that a store does, through this pool. */
  async function expectToWork(pool: ReturnType<typeof ownPool>): Promise<void> {
    const store = openStore({ pool });
    await store.setup();
    expect(await store.openApplication(SCOPE, ROW)).toStrictEqual({ outcome: "created", row: ROW });
    expect(await store.openApplication(SCOPE, ROW)).toStrictEqual({
      outcome: "existing",
      row: ROW,
    });
    const writes = [at(1), at(2, 0), { kind: "shard-end" } as const].map((checkpoint, index) =>
      writeOf(checkpoint, shard(index)),
    );
    const written = writes.map(({ checkpoint }) => ({ outcome: "written", stored: checkpoint }));
    expect(await store.setCheckpoints(SCOPE, writes)).toStrictEqual(written);
    const same = written.map((result) => ({ ...result, outcome: "same" }));
    expect(await store.setCheckpoints(SCOPE, writes)).toStrictEqual(same);
    const stands = new Map(writes.map(({ shardId, checkpoint }) => [shardId, checkpoint]));
    expect(await store.getCheckpoints(SCOPE)).toStrictEqual(stands);
    expect(await store.setCheckpoint(SCOPE, writeOf(at(0)))).toStrictEqual({
      outcome: "behind",
      stored: at(1),
    });
    await store.resetCheckpoint(SCOPE, SHARD, at(0, 7));
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(0, 7));
    await expectLeases(store);
  }

  async function expectLeases(store: MysqlStore): Promise<void> {
    const ids = [SHARD, shard(1), shard(5)];
    const rows = ids.map((shardId) => ({ shardId, lineage: "{}" }));
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, rows);
    const held = await store.acquireLeases(SCOPE, WORKER, ids);
    expect(held.map(({ checkpoint }) => checkpoint)).toStrictEqual([at(0, 7), at(2, 0), undefined]);
    const flush = held.map(({ shardId, fence }) => ({ ...writeOf(at(8, 1), shardId), fence }));
    const written = { outcome: "written", stored: at(8, 1) };
    expect(await store.setCheckpoints(SCOPE, flush)).toStrictEqual(held.map(() => written));
    const { leases, revision } = await store.listLeases(SCOPE);
    const standing = held.map(({ shardId, fence: { epoch, owner } }) => {
      return { shardId, lineage: "{}", epoch, owner, checkpoint: at(8, 1) };
    });
    expect(leases).toStrictEqual(standing);
    const beat = await store.heartbeat(SCOPE, WORKER);
    expect(beat).toStrictEqual({ outcome: "alive", counter: 1, revision });
    expect(await store.releaseLeases(SCOPE, held)).toStrictEqual(ids);
    await store.removeShards(SCOPE, ids);
    expect(await store.evictWorker(SCOPE, { ...WORKER, counter: 1 })).toBe("evicted");
    expect((await store.listWorkers(SCOPE)).revision).toBeGreaterThan(revision);
  }

  it.each(Object.entries(POOLS))("works with %s", async (_name, options) => {
    await expectToWork(ownPool({ ...database.options, ...options }));
  });

  it.each(SESSIONS)("works after %s", async (statement) => {
    const pool = ownPool(database.options);
    pool.on("connection", (connection) => void connection.query(statement));
    await expectToWork(pool);
  });

  it.each(REFUSED)("is refused by name after %s", async (statement, error, text) => {
    await openStore({ connection: database.options }).setup();
    const pool = ownPool(database.options);
    pool.on("connection", (connection) => void connection.query(statement));
    await expectFailure(openStore({ pool }).joinWorker(SCOPE, WORKER), { ...error, text });
  });

  it("keeps names in UTF-8, whatever the connection's character set", async () => {
    const pool = ownPool({ ...database.options, charset: "latin1_swedish_ci" });
    await expectToWork(pool);
    const [rows] = await database.admin.query(
      "SELECT HEX(application) AS hex FROM kinesis_consumer_applications",
    );
    expect(rows).toStrictEqual([
      { hex: Buffer.from(SCOPE.application).toString("hex").toUpperCase() },
    ]);
  });

  it("is refused if its connections do not commit", async () => {
    const pool = ownPool(database.options);
    pool.on("connection", (connection) => void connection.query("SET autocommit = 0"));
    const store = openStore({ pool });
    const text = "autocommit is off on each connection";
    await expectFailure(store.setup(), { code: "STORE_FAILED", retryable: false, text });
    await expectFailure(store.getCheckpoints(SCOPE), {
      code: "STORE_FAILED",
      retryable: false,
      text,
    });
  });

  describe("with a connection that its owner left in", () => {
    let pool: Pool;
    let store: MysqlStore;
    let other: MysqlStore;

    /** On the pool's one connection, which then goes back. */
    async function leave(...statements: readonly string[]): Promise<void> {
      const connection = await pool.getConnection();
      for (const statement of statements) await connection.query(statement);
      connection.release();
    }

    beforeEach(async () => {
      pool = ownPool({ ...database.options, connectionLimit: 1 });
      store = openStore({ pool });
      await store.setup();
      other = openStore({ connection: database.options });
      await other.joinWorker(SCOPE, WORKER);
      await database.admin.query("CREATE TABLE orders (id int PRIMARY KEY)");
    });

    const TRANSACTION = [
      "START TRANSACTION",
      "INSERT INTO orders VALUES (1)",
      "SELECT COUNT(*) FROM kinesis_consumer",
    ];

    it("a transaction reads nothing old on it", async () => {
      await leave(...TRANSACTION);
      await other.setCheckpoint(SCOPE, writeOf(at(100)));
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(100));
      await leave(...TRANSACTION);
      await other.openApplication(SCOPE, ROW);
      expect(await store.openApplication(SCOPE, ROW)).toMatchObject({ outcome: "existing" });
    });

    it.each([
      ["a transaction", TRANSACTION],
      ["autocommit off", ["SET SESSION autocommit = 0", "INSERT INTO orders VALUES (1)"]],
    ])("%s commits what it writes, and nothing of its owner's", async (_what, statements) => {
      await leave(...statements);
      await store.setCheckpoint(SCOPE, writeOf(at(7)));
      expect(await other.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(7));
      await leave(...statements);
      const mine = await store.heartbeat(SCOPE, WORKER);
      const { workers } = await other.listWorkers(SCOPE);
      expect(mine).toMatchObject({ outcome: "alive", counter: workers[0]!.counter });
      await leave(...statements);
      await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
      expect((await other.listLeases(SCOPE)).leases).toHaveLength(1);
      const [orders] = await database.admin.query("SELECT * FROM orders");
      expect(orders, "the owner's half-done work").toStrictEqual([]);
    });

    it("a limit of rows gets all of them", async () => {
      const writes = Array.from({ length: 20 }, (_, n) => writeOf(at(n), shard(n)));
      await store.setCheckpoints(SCOPE, writes);
      await leave("SET SESSION sql_select_limit = 10");
      expect((await store.getCheckpoints(SCOPE)).size).toBe(20);
      expect(await store.setCheckpoints(SCOPE, writes)).toHaveLength(20);
    });
  });

  it("of one connection serves many calls, and its owner in between", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    const store = openStore({ pool });
    await store.setup();
    const calls = Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0
        ? store.setCheckpoint(SCOPE, writeOf(at(index), shard(index)))
        : pool.query("SELECT 1"),
    );
    await Promise.all(calls);
    expect((await store.getCheckpoints(SCOPE)).size).toBe(10);
  });

  it("has one connection in use at a time, however many calls", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 10 });
    const store = openStore({ pool });
    await store.setup();
    let [held, most] = [0, 0];
    pool.on("acquire", () => (most = Math.max(most, ++held)));
    pool.on("release", () => held--);
    await Promise.all(
      Array.from({ length: 30 }, (_, n) => store.setCheckpoint(SCOPE, writeOf(at(n)))),
    );
    expect({ most, held }).toStrictEqual({ most: 1, held: 0 });
  });

  it("that has no connection to spare is waited for, then reported by name", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    const store = openStore({ pool });
    await store.setup();
    const held = await pool.getConnection();
    const hasty = openStore({ pool, timeoutMs: 200 });
    await expectFailure(hasty.getCheckpoints(SCOPE), { ...UNAVAILABLE, text: "200 ms" });
    const controller = new AbortController();
    const reason = new Error("no more patience");
    const waiting = store.getCheckpoints(SCOPE, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(waiting).rejects.toBe(reason);
    held.release();
    expect(await store.getCheckpoints(SCOPE), "nothing is left waiting").toStrictEqual(new Map());
    await pool.query("SELECT 1");
  });

  it.each([{ waitForConnections: false }, { queueLimit: 1 }])(
    "that does not let wait (%o) fails in passing",
    async (options) => {
      const pool = ownPool({ ...database.options, connectionLimit: 1, ...options });
      const store = openStore({ pool });
      await store.setup();
      const held = await pool.getConnection();
      const other = pool.getConnection().then(
        (connection) => connection.release(),
        () => undefined,
      );
      await expectFailure(store.getCheckpoints(SCOPE), UNAVAILABLE);
      held.release();
      await other;
      expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map());
    },
  );

  it("that its owner closed is no outage", async () => {
    const pool = createCallbackPool(database.options).promise();
    const store = openStore({ pool });
    await store.setup();
    await pool.end();
    await expectFailure(store.getCheckpoints(SCOPE), { ...CLOSED, text: "closed by its owner" });
  });

  it("is left open, its connections too, with a call under way", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    const store = openStore({ pool });
    await store.setup();
    const [[before]] = (await pool.query("SELECT CONNECTION_ID() AS id")) as unknown as [[object]];
    const calls = [1, 2].map((n) => store.setCheckpoint(SCOPE, writeOf(at(n))));
    const settled = Promise.allSettled(calls);
    await store[Symbol.asyncDispose]();
    for (const result of await settled) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "STORE_CLOSED" } });
    }
    const [[after]] = (await pool.query("SELECT CONNECTION_ID() AS id")) as unknown as [[object]];
    expect(before).toHaveProperty("id");
    expect(after).toHaveProperty("id");
  });

  it("of the store's own is closed: no connection is left", async () => {
    const connections = async (): Promise<number> => {
      const [rows] = await database.admin.query(
        `SELECT id FROM information_schema.processlist WHERE db = '${database.name}'
         AND id <> CONNECTION_ID()`,
      );
      return Array.isArray(rows) ? rows.length : -1;
    };
    const before = await connections();
    const store = openStore({ connection: database.options });
    await store.setup();
    expect(await connections()).toBe(before + 1);
    await store[Symbol.asyncDispose]();
    const deadline = performance.now() + 30_000;
    while ((await connections()) > before) {
      if (performance.now() > deadline) expect.fail(`${await connections()} connections are left`);
    }
  });
});
