import { Buffer } from "node:buffer";
import type { ApplicationRow } from "@kc/core";
import { createPool as createCallbackPool, type PoolOptions } from "mysql2";
import { beforeEach, describe, expect, it } from "vitest";
import { SERVERS, ownDatabase, ownPool, type Database } from "./support/servers.ts";
import {
  at,
  CLOSED,
  expectFailure,
  openStore,
  SHARD,
  shard,
  UNAVAILABLE,
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

/** What a pool's owner may have set for purposes of their own. */
const POOLS: Readonly<Record<string, PoolOptions>> = {
  "one connection": { connectionLimit: 1 },
  "decimals as doubles": { decimalNumbers: true },
  "big numbers as they may be": { supportBigNumbers: true, bigNumberStrings: false },
  "rows as arrays": { rowsAsArray: true },
  "nested tables": { nestTables: true },
  "joined table names": { nestTables: "_" },
  "no type cast": { typeCast: false },
  "a type cast of their own": { typeCast: () => "theirs" },
  "named placeholders": { namedPlaceholders: true },
  "a format of their own": { queryFormat: (sql: string) => sql.replaceAll("?", "theirs") },
  "found rows": { flags: ["FOUND_ROWS"] },
  "no found rows": { flags: ["-FOUND_ROWS"] },
  "another character set": { charset: "latin1_swedish_ci" },
  "several statements": { multipleStatements: true },
  "objects as text": { stringifyObjects: true },
  "another time zone": { timezone: "-11:00", dateStrings: true },
};

/** What a session may have been set to, by the pool's owner or the server. */
const SESSIONS: readonly string[] = [
  "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
  "SET sql_mode = ''",
  "SET sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES'",
  "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
  "SET time_zone = '+09:00'",
  "SET NAMES latin1",
  "SET sql_safe_updates = 1",
];

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
  }

  it.each(Object.entries(POOLS))("works with %s", async (_name, options) => {
    await expectToWork(ownPool({ ...database.options, ...options }));
  });

  it.each(SESSIONS)("works after %s", async (statement) => {
    const pool = ownPool(database.options);
    pool.on("connection", (connection) => void connection.query(statement));
    await expectToWork(pool);
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
    const text = "autocommit is off";
    await expectFailure(store.setup(), { code: "STORE_FAILED", retryable: false, text });
    await expectFailure(store.getCheckpoints(SCOPE), {
      code: "STORE_FAILED",
      retryable: false,
      text,
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

  it("that has no connection to spare is waited for, then told apart", async () => {
    const pool = ownPool({ ...database.options, connectionLimit: 1 });
    const store = openStore({ pool, timeoutMs: 200 });
    await store.setup();
    const held = await pool.getConnection();
    await expectFailure(store.getCheckpoints(SCOPE), { ...UNAVAILABLE, text: "200 ms" });
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
    const deadline = performance.now() + 10_000;
    while ((await connections()) > before) {
      if (performance.now() > deadline) expect.fail(`${await connections()} connections are left`);
    }
  });
});
