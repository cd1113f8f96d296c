import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { startProxy, type Lifecycle, type MysqlAddress } from "@kc-internal/test-services";
import type { Pool } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { MysqlStore } from "../src/index.ts";
import { SERVERS, createDatabase, ownPool, type Database } from "./support/servers.ts";
import {
  at,
  CLOSED,
  DENIED,
  expectFailure,
  numberAt,
  openStore,
  SCOPE,
  SHARD,
  shard,
  UNAVAILABLE,
  WORKER,
  writeOf,
} from "./support/store.ts";
import { until } from "./support/until.ts";

/** Long enough for a busy machine's answer, short enough to wait for it. */
const timeoutMs = 2000;
const SHARDS = Array.from({ length: 20 }, (_, index) => shard(index));

/** Which connection a pool of one has. */
async function threadOf(pool: Pool): Promise<number> {
  const connection = await pool.getConnection();
  connection.release();
  return connection.threadId;
}

describe.each(SERVERS)("$name", ({ name, start }) => {
  let server: MysqlAddress & Lifecycle;
  let database: Database;

  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.close());

  beforeEach(async () => {
    database = await createDatabase(server);
    onTestFinished(() => database.drop());
  });

  const open = async (): Promise<MysqlStore> => {
    const store = openStore({ connection: database.options, timeoutMs });
    await store.setup();
    return store;
  };

  /** Once the store answers again: failures that call themselves passing are tried again. */
  async function recovered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    const answers: Answer[] = [];
    await until("the store to recover", async () => {
      try {
        answers.push(await call());
        return { done: true, state: undefined };
      } catch (error) {
        expect(error).toMatchObject(UNAVAILABLE);
        return { done: false, state: String(error) };
      }
    });
    return answers[0]!;
  }

  const flush = (store: MysqlStore, n: number) =>
    store.setCheckpoints(
      SCOPE,
      SHARDS.map((shardId) => writeOf(at(n), shardId)),
    );

  /** Flushes until it fails. Resolves with the last flush that was acknowledged, and the failure. */
  async function flushUntilItFails(store: MysqlStore): Promise<{ last: number; error: unknown }> {
    for (let n = 1; ; n++) {
      try {
        await flush(store, n);
      } catch (error) {
        return { last: n - 1, error };
      }
    }
  }

  /** The number that stands for every shard: a flush is whole, or did not happen. */
  async function standing(store: MysqlStore): Promise<number> {
    const found = await recovered(() => store.getCheckpoints(SCOPE));
    const numbers = new Set([...found.values()].map((checkpoint) => JSON.stringify(checkpoint)));
    expect([...numbers], "one flush").toHaveLength(1);
    const checkpoint = found.get(SHARD);
    if (checkpoint?.kind !== "position") throw new Error("no position stands there");
    return Number(BigInt(checkpoint.sequenceNumber) - BigInt(numberAt(0)));
  }

  it.each(["kill", "stop"] as const)(
    "%s in the middle of flushes: what was acknowledged is kept, and it recovers by itself",
    async (how) => {
      const store = await open();
      await flush(store, 0);
      const flushing = flushUntilItFails(store);
      await until("some flushes", async () => {
        const state = await standing(store);
        return { done: state > 5, state };
      });
      await server[how]();
      const { last, error } = await flushing;
      expect(error).toMatchObject(UNAVAILABLE);
      await expectFailure(store.getCheckpoints(SCOPE), UNAVAILABLE);
      await expectFailure(flush(store, last + 1), UNAVAILABLE);
      await server.restart();
      // The last one's reply may be what was lost.
      const stands = await standing(store);
      expect([last, last + 1]).toContain(stands);
      const again = await flush(store, last + 1);
      const outcome = stands === last ? "written" : "same";
      expect(new Set(again.map((result) => result.outcome))).toStrictEqual(new Set([outcome]));
    },
  );

  it("frozen for longer than the time-out: calls fail in time, and nothing is left behind", async () => {
    const store = await open();
    await flush(store, 1);
    server.freeze();
    const began = performance.now();
    try {
      await Promise.all([
        expectFailure(flush(store, 2), { ...UNAVAILABLE, text: `${timeoutMs} ms` }),
        expectFailure(store.getCheckpoints(SCOPE), UNAVAILABLE),
      ]);
      expect(performance.now() - began).toBeLessThan(10 * timeoutMs);
    } finally {
      server.thaw();
    }
    expect([1, 2]).toContain(await standing(store));
    const other = openStore({ connection: database.options, timeoutMs });
    await recovered(() => flush(other, 3));
    expect(await standing(store)).toBe(3);
  });

  it("half-open: calls and dispose end in time, and the dead connection is not used again", async () => {
    const proxy = await startProxy(server);
    onTestFinished(() => proxy.close());
    const { host, port } = proxy;
    const pool = ownPool({ ...database.options, host, port, connectionLimit: 1 });
    const borrowing = openStore({ pool, timeoutMs });
    const owning = new MysqlStore({ connection: { ...database.options, host, port }, timeoutMs });
    await borrowing.setup();
    await flush(borrowing, 1);
    await flush(owning, 2);
    const dead = await threadOf(pool);
    proxy.blackhole();
    await expectFailure(flush(borrowing, 3), UNAVAILABLE);
    await expectFailure(flush(owning, 3), UNAVAILABLE);
    await owning[Symbol.asyncDispose]();
    await proxy.restore();
    expect(await threadOf(pool)).not.toBe(dead);
    expect([2, 3]).toContain(await standing(borrowing));
    await recovered(() => flush(borrowing, 4));
    expect(await standing(borrowing)).toBe(4);
  });

  it("half-open while it connects: dispose ends the call, and does not wait for the server", async () => {
    const proxy = await startProxy(server);
    onTestFinished(() => proxy.close());
    proxy.blackhole();
    const { host, port } = proxy;
    const connection = { ...database.options, host, port };
    const store = new MysqlStore({ connection, timeoutMs: 120_000 });
    const reading = expectFailure(store.getCheckpoints(SCOPE), CLOSED);
    await new Promise(setImmediate);
    const began = performance.now();
    await store[Symbol.asyncDispose]();
    await reading;
    expect(performance.now() - began).toBeLessThan(30_000);
  });

  it("connections cut in the middle of flushes: none is half done, no lock is left", async () => {
    const proxy = await startProxy(server);
    onTestFinished(() => proxy.close());
    const { host, port } = proxy;
    const store = openStore({ connection: { ...database.options, host, port }, timeoutMs });
    const direct = await open();
    await flush(store, 0);
    for (let round = 1; round <= 20; round++) {
      const flushing = flush(store, round * 10).then(
        () => true,
        async (error: unknown) => {
          expect(error).toMatchObject(UNAVAILABLE);
          return false;
        },
      );
      for (let turn = 0; turn < round; turn++) await new Promise(setImmediate);
      await proxy.cut();
      const acknowledged = await flushing;
      await proxy.restore();
      const stands = await standing(direct);
      if (acknowledged) expect(stands).toBe(round * 10);
      await recovered(() => flush(direct, round * 10 + 1));
      expect(await standing(direct)).toBe(round * 10 + 1);
    }
  });

  it("a connection that the server ended meanwhile costs one passing failure at most", async () => {
    const store = await open();
    for (const { id } of await database.processes()) {
      await database.admin.query(`KILL ${id}`).catch(() => undefined);
    }
    expect(await recovered(() => flush(store, 1))).toHaveLength(SHARDS.length);
  });

  describe("a lock that another transaction holds", () => {
    /** Runs `work` while an administrator holds a row of this table. */
    async function whileLocked<Answer>(
      table: string,
      work: (unlock: () => Promise<void>) => Promise<Answer>,
    ): Promise<Answer> {
      const other = await database.admin.getConnection();
      try {
        await other.query("START TRANSACTION");
        await other.query(`SELECT * FROM ${table} WHERE shard_id = '${SHARD}' FOR UPDATE`);
        return await work(async () => void (await other.query("COMMIT")));
      } finally {
        other.destroy();
      }
    }

    it.each(["kinesis_consumer_leases", "kinesis_consumer"])(
      "on %s is waited for, then reported as passing; reads do not wait",
      async (table) => {
        const store = await open();
        const write = (n: number) => store.setCheckpoint(SCOPE, writeOf(at(n)));
        await write(1);
        await whileLocked(table, async () => {
          await expectFailure(write(2), { ...UNAVAILABLE, text: "a lock was held" });
          expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
        });
        await recovered(() => write(2));
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(2));
      },
    );

    it("on a row that is not committed yet holds up its own shard alone", async () => {
      const store = await open();
      const flushAll = (n: number) =>
        store.setCheckpoints(
          SCOPE,
          ["a", "b", "c"].map((shardId) => writeOf(at(n), shardId)),
        );
      await store.setCheckpoints(SCOPE, [writeOf(at(1), "a"), writeOf(at(1), "c")]);
      const other = await database.admin.getConnection();
      try {
        await other.query("START TRANSACTION");
        await other.query(
          "INSERT INTO kinesis_consumer (namespace, shard_id, sequence_number) VALUES (?, 'b', 1)",
          [`${SCOPE.application}-${SCOPE.streamName}`],
        );
        let outcomes: string[] = [];
        await until("the other shards are written", async () => {
          const results = await flushAll(2).catch(() => []);
          outcomes = results.map(({ outcome }) => outcome);
          return { done: outcomes.length > 0, state: outcomes };
        });
        expect([outcomes[0], outcomes[2]]).not.toContain("failed");
        expect(outcomes[1]).toBe("failed");
        expect(await store.getCheckpoint(SCOPE, "a")).toStrictEqual(at(2));
        await other.query("COMMIT");
      } finally {
        other.destroy();
      }
      await recovered(() => store.setCheckpoint(SCOPE, writeOf(at(3), "b")));
      expect((await flushAll(4)).map(({ outcome }) => outcome)).toEqual(Array(3).fill("written"));
    });

    it("leaves no statement in the server that waits long after its call gave up", async () => {
      await open();
      // On MySQL, a limit of ours is possible on connections of our own alone.
      const connection = database.options;
      const from = name === "MariaDB" ? { pool: ownPool(connection) } : { connection };
      const store = openStore({ ...from, timeoutMs });
      await flush(store, 1);
      await whileLocked("kinesis_consumer_leases", async () => {
        for (let n = 2; n < 4; n++) {
          await expectFailure(store.setCheckpoint(SCOPE, writeOf(at(n))), UNAVAILABLE);
        }
        await until("nothing waits in the server", async () => {
          const state = await database.processes();
          return { done: !state.some(({ statement }) => statement.includes("INSERT INTO")), state };
        });
      });
    });

    // A migration of the table, and a backup: both may last for hours, and max_connections is soon reached.
    it.each(["LOCK TABLES kinesis_consumer WRITE", "FLUSH TABLES WITH READ LOCK"])(
      "by %s leaves no statement that waits in the server",
      async (lock) => {
        await open();
        const connection = database.options;
        const from = name === "MariaDB" ? { pool: ownPool(connection) } : { connection };
        const store = openStore({ ...from, timeoutMs });
        await flush(store, 1);
        const other = await database.admin.getConnection();
        try {
          await other.query(lock);
          for (let n = 2; n < 4; n++) {
            await expectFailure(flush(store, n), UNAVAILABLE);
          }
          await until("nothing waits in the server", async () => {
            const state = await database.processes();
            const waits = state.some(({ statement }) => statement.includes("kinesis_consumer"));
            return { done: !waits, state };
          });
        } finally {
          other.destroy();
        }
        await recovered(() => flush(store, 4));
      },
    );

    it("lets the call through when it is given back in time", async () => {
      const pool = ownPool({ ...database.options, connectionLimit: 1 });
      const store = openStore({ pool, timeoutMs: 60_000 });
      await store.setup();
      await store.setCheckpoint(SCOPE, writeOf(at(1)));
      await whileLocked("kinesis_consumer_leases", async (unlock) => {
        const writing = store.setCheckpoint(SCOPE, writeOf(at(2)));
        await database.waitsForRow("INSERT INTO");
        await unlock();
        await writing;
      });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(2));
    });

    it("lets an abort end the wait with its reason, and others get another connection", async () => {
      await open();
      const pool = ownPool({ ...database.options, connectionLimit: 1 });
      const store = openStore({ pool, timeoutMs: 60_000 });
      await flush(store, 1);
      const thread = await threadOf(pool);
      await whileLocked("kinesis_consumer", async () => {
        const controller = new AbortController();
        const reason = new Error("no more patience");
        const flushing = store.setCheckpoint(SCOPE, writeOf(at(2)), controller);
        await database.waitsForRow("INSERT INTO");
        controller.abort(reason);
        await expect(flushing).rejects.toBe(reason);
        expect(await threadOf(pool), "the one that waits is given up").not.toBe(thread);
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
      });
      await recovered(() => store.setCheckpoint(SCOPE, writeOf(at(3))));
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(3));
    });

    it("in a circle: the flush that has to give way is tried again", async () => {
      const store = openStore({ connection: database.options, timeoutMs: 60_000 });
      await store.setup();
      await flush(store, 1);
      const other = await database.admin.getConnection();
      try {
        await other.query("START TRANSACTION");
        // More changes than the flush has made: of two, the server ends the one with fewer.
        await other.query("UPDATE kinesis_consumer SET kc_sub_sequence_number = 5");
        const flushing = store.setCheckpoint(SCOPE, writeOf(at(2)));
        await database.waitsForRow("INSERT INTO");
        await other.query(
          `SELECT * FROM kinesis_consumer_leases WHERE shard_id = '${SHARD}' FOR UPDATE`,
        );
        await other.query("COMMIT");
        expect((await flushing).outcome).toBe("written");
      } finally {
        other.destroy();
      }
    });
  });

  describe("refusals", () => {
    /** A user of this database alone, with these rights. */
    async function userWith(rights: string, password = server.password): Promise<string> {
      const user = database.name.slice(0, 20);
      await database.admin.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`);
      onTestFinished(async () => void (await database.admin.query(`DROP USER ${user}@'%'`)));
      await database.admin.query(`GRANT ${rights} ON ${database.name}.* TO ${user}@'%'`);
      return user;
    }

    it("revoked rights are retried for a minute; once they are granted again, it continues", async () => {
      await open();
      const user = await userWith("EXECUTE");
      // Rights on the whole database would hold for a connection as long as it is open.
      const change = async (statement: string): Promise<void> => {
        for (const table of ["", "_leases", "_applications", "_workers", "_revisions"]) {
          const on = `ON ${database.name}.kinesis_consumer${table}`;
          await database.admin.query(statement.replace("ON", on));
        }
      };
      await change(`GRANT SELECT, INSERT, UPDATE, DELETE ON TO ${user}@'%'`);
      const store = openStore({ connection: { ...database.options, user }, timeoutMs });
      await flush(store, 1);
      await change(`REVOKE INSERT, UPDATE ON FROM ${user}@'%'`);
      const passing = { ...DENIED, retryable: true };
      await expectFailure(flush(store, 2), { ...passing, text: "grant this user" });
      await change(`REVOKE SELECT ON FROM ${user}@'%'`);
      await expectFailure(store.getCheckpoints(SCOPE), passing);
      const fresh = openStore({ connection: { ...database.options, user }, timeoutMs });
      await expectFailure(fresh.getCheckpoints(SCOPE), DENIED);
      await change(`GRANT SELECT, INSERT, UPDATE ON TO ${user}@'%'`);
      await flush(store, 2);
      expect(await standing(store)).toBe(2);
    });

    it("a wrong password, and a database of somebody else, end it", async () => {
      await open();
      const user = await userWith("SELECT", "secret");
      const connection = { ...database.options, user, password: "wrong" };
      const { message } = await expectFailure(
        openStore({ connection, timeoutMs }).getCheckpoints(SCOPE),
        { ...DENIED, text: "check user, password" },
      );
      expect(message).not.toContain("wrong");
      const elsewhere = { ...connection, password: "secret", database: "mysql" };
      await expectFailure(openStore({ connection: elsewhere }).getCheckpoints(SCOPE), DENIED);
    });

    it("too many connections pass", async () => {
      await open();
      const user = await userWith("ALL");
      await database.admin.query(`ALTER USER ${user}@'%' WITH MAX_USER_CONNECTIONS 1`);
      const connection = { ...database.options, user };
      const holder = ownPool(connection);
      await holder.query("SELECT 1");
      const store = openStore({ connection, timeoutMs });
      await expectFailure(flush(store, 1), { ...UNAVAILABLE, text: "no free connection" });
      await database.admin.query(`ALTER USER ${user}@'%' WITH MAX_USER_CONNECTIONS 9`);
      await recovered(() => flush(store, 1));
    });

    it("a server that has become read-only takes no write of a privileged user's either", async () => {
      const store = await open();
      await store.joinWorker(SCOPE, WORKER);
      await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
      const held = await store.acquireLeases(SCOPE, WORKER, [SHARD]);
      const [{ fence }] = held as [(typeof held)[number]];
      const row = { ...SCOPE, streamARN: "arn", startedAt: new Date(0), migrated: false };
      const before = await store.listLeases(SCOPE);
      await database.admin.query("SET GLOBAL read_only = 1");
      try {
        const scope = { ...SCOPE, application: "another" };
        for (const call of [
          () => store.setCheckpoint(SCOPE, { ...writeOf(at(1)), fence }),
          () => store.resetCheckpoint(SCOPE, SHARD, at(0), { force: true }),
          () => store.openApplication(scope, { ...row, ...scope, start: "LATEST" }),
          () => store.joinWorker(SCOPE, { ...WORKER, workerId: "other" }),
          () => store.heartbeat(SCOPE, WORKER),
          () => store.evictWorker(SCOPE, { ...WORKER, counter: 0 }),
          () => store.leaveWorker(SCOPE, WORKER),
          () => store.putShards(SCOPE, [{ shardId: "new", lineage: "{}" }]),
          () => store.acquireLeases(SCOPE, WORKER, [SHARD]),
          () => store.releaseLeases(SCOPE, held),
          () => store.removeShards(SCOPE, [SHARD]),
        ]) {
          await expectFailure(call(), { ...UNAVAILABLE, text: "read-only" });
        }
      } finally {
        await database.admin.query("SET GLOBAL read_only = 0");
      }
      expect(await store.listLeases(SCOPE)).toStrictEqual(before);
      expect((await store.listWorkers(SCOPE)).workers).toStrictEqual([{ ...WORKER, counter: 0 }]);
      const [applications] = await database.admin.query(
        "SELECT 1 FROM kinesis_consumer_applications",
      );
      expect(applications).toStrictEqual([]);
    });

    it("a server that has become read-only passes, its old checkpoints are not read", async () => {
      await open();
      const user = await userWith("SELECT, INSERT, UPDATE, DELETE");
      const pool = ownPool({ ...database.options, user, connectionLimit: 1 });
      const store = openStore({ pool, timeoutMs });
      await flush(store, 1);
      const before = await threadOf(pool);
      await database.admin.query("SET GLOBAL read_only = 1");
      try {
        const text = "read-only";
        await expectFailure(store.getCheckpoints(SCOPE), { ...UNAVAILABLE, text });
        expect(await threadOf(pool), "it may lead to the primary").not.toBe(before);
        await expectFailure(store.getCheckpoint(SCOPE, SHARD), { ...UNAVAILABLE, text });
        await expectFailure(flush(store, 2), { ...UNAVAILABLE, text });
        await expectFailure(store.resetCheckpoint(SCOPE, SHARD, at(0)), UNAVAILABLE);
      } finally {
        await database.admin.query("SET GLOBAL read_only = 0");
      }
      expect(await standing(store)).toBe(1);
      await flush(store, 2);
    });
  });
});

it("a dispose does not wait for a connect that hangs, and leaves no socket behind", async () => {
  const server = await startSilent();
  const connection = { host: "127.0.0.1", port: server.port, user: "billing", database: "billing" };
  const store = openStore({ connection, timeoutMs: 600_000 });
  const call = expectFailure(store.getCheckpoints(SCOPE), CLOSED);
  const [socket] = await server.connected;
  const closed = once(socket, "close");
  await store[Symbol.asyncDispose]();
  await call;
  await closed;
});

/** Accepts connections and never says a word. */
async function startSilent() {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, connected: once(server, "connection") as Promise<[Socket]> };
}
