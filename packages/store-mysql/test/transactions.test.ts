import { ConfigError, type TransactionalWrite } from "@kc/core";
import { createPool as createCallbackPool } from "mysql2";
import { createPool, type PoolConnection, type RowDataPacket } from "mysql2/promise";
import { describe, expect, onTestFinished, test } from "vitest";
import { fromConnection, MysqlStore, type MysqlStoreOptions } from "../src/index.ts";
import { ownDatabase, ownPool, SERVERS } from "./support/servers.ts";
import {
  at,
  numberAt,
  openStore,
  SCOPE,
  SHARD,
  UNAVAILABLE,
  WORKER,
  writeOf,
} from "./support/store.ts";
import { until } from "./support/until.ts";

const MISUSED = { name: "StoreError", code: "TRANSACTION_MISUSED", retryable: false } as const;

function upTo(n: number, shardId = SHARD): TransactionalWrite {
  return { shardId, from: { sequenceNumber: numberAt(1) }, checkpoint: at(n) };
}

async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );
}

const put = (tx: Pick<PoolConnection, "query">, name: string): Promise<unknown> =>
  tx.query("INSERT INTO effects (name) VALUES (?)", [name]);

describe.each(SERVERS)("transactions on $name", ({ address }) => {
  /** A store on a pool that was handed in, and a table of effects. */
  async function opened(own: Pick<MysqlStoreOptions, "maxTransactions"> = {}, connectionLimit = 3) {
    const { admin, options } = await ownDatabase(address);
    await admin.query("CREATE TABLE effects (name varchar(64) PRIMARY KEY) ENGINE=InnoDB");
    const pool = ownPool({ ...options, connectionLimit });
    const store = openStore({ ...own, pool });
    await store.setup();
    const effects = async (): Promise<readonly string[]> => {
      const [rows] = await admin.query<RowDataPacket[]>("SELECT name FROM effects");
      return rows.map(({ name }) => String(name));
    };
    return { store, pool, admin, options, effects };
  }

  test.each(["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "CREATE TABLE another (x int)"])(
    "a handler that ends the transaction by `%s` is told so, and the checkpoint is not written",
    async (command) => {
      const { store } = await opened();
      const answer = store.transact(SCOPE, upTo(3), async (tx) => {
        await put(tx, "one");
        await tx.query(command);
      });
      expect(await outcomeOf(answer)).toMatchObject({ ...MISUSED, shardId: SHARD });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
    },
  );

  test("a handler that locks tables ends its transaction, and its locks end with its connection", async () => {
    const { store, effects } = await opened();
    const answer = store.transact(SCOPE, upTo(3), (tx) => tx.query("LOCK TABLES effects WRITE"));
    expect(await outcomeOf(answer)).toMatchObject(MISUSED);
    // Another connection reads what was locked.
    expect(await effects()).toEqual([]);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
  });

  test("a handler that locks tables and fails leaves no lock either", async () => {
    const { store, effects } = await opened();
    const own = new Error("the handler's own");
    const answer = store.transact(SCOPE, upTo(3), async (tx) => {
      await tx.query("LOCK TABLES effects WRITE");
      throw own;
    });
    expect(await outcomeOf(answer)).toBe(own);
    expect(await effects()).toEqual([]);
  });

  test("commit() and release() are not the handler's to call, and its connection is of no use once the transaction is over", async () => {
    const { store, effects } = await opened();
    for (const call of ["commit", "rollback", "release", "destroy"] as const) {
      const misusing = store.transact(SCOPE, upTo(3), (tx) => tx[call]());
      expect(await outcomeOf(misusing), call).toMatchObject(MISUSED);
    }
    let kept: PoolConnection | undefined;
    await store.transact(SCOPE, upTo(3), (tx) => void (kept = tx));
    expect(await outcomeOf((async () => put(kept!, "late"))())).toMatchObject(MISUSED);
    expect(await effects()).toEqual([]);
  });

  test("a handler that makes another database the default is told so, and its connection is closed", async () => {
    const { options, effects } = await opened();
    const store = openStore({
      pool: ownPool({ ...options, connectionLimit: 3, multipleStatements: true }),
    });
    const other = await ownDatabase(address);
    // It has tables of these names, too.
    await openStore({ pool: ownPool(other.options) }).setup();
    const { database: name } = other.options;
    const misusing = store.transact(SCOPE, upTo(3), async (tx) => {
      await put(tx, "one");
      await tx.query(`USE ${name}`);
    });
    expect(await outcomeOf(misusing)).toMatchObject({ ...MISUSED, shardId: SHARD });
    const own = new Error("the handler's own");
    const failing = store.transact(SCOPE, upTo(3), async (tx) => {
      await tx.query(`SELECT 1; USE ${name}; SELECT 2`);
      throw own;
    });
    expect(await outcomeOf(failing)).toBe(own);
    const returning = store.transact(SCOPE, upTo(3), async (tx) => {
      await tx.query(`USE ${name}`);
      await tx.query(`USE ${options.database}`);
      await put(tx, "two");
    });
    expect(await outcomeOf(returning)).toMatchObject({ answer: { outcome: "committed" } });
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3));
    expect(await effects()).toEqual(["two"]);
    const [rows] = await other.admin.query("SELECT * FROM kinesis_consumer");
    expect(rows).toEqual([]);
  });

  test("of two handlers in a deadlock one is to be run again", async () => {
    const { store, admin, effects } = await opened({}, 4);
    await admin.query("INSERT INTO effects VALUES ('a'), ('b')");
    const lock = (tx: PoolConnection, name: string): Promise<unknown> =>
      tx.query("SELECT * FROM effects WHERE name = ? FOR UPDATE", [name]);
    let bothHave = (): void => {};
    const both = new Promise<void>((resolve) => (bothHave = resolve));
    let having = 0;
    const take = (shardId: string, first: string, second: string) =>
      outcomeOf(
        store.transact(SCOPE, upTo(3, shardId), async (tx) => {
          await put(tx, shardId);
          await lock(tx, first);
          having += 1;
          if (having === 2) bothHave();
          await both;
          await lock(tx, second);
        }),
      );
    const answers = await Promise.all([take("shard-1", "a", "b"), take("shard-2", "b", "a")]);
    expect(answers).toContainEqual(expect.objectContaining(UNAVAILABLE));
    expect(answers).toContainEqual({ answer: expect.objectContaining({ outcome: "committed" }) });
    expect(await effects()).toHaveLength(3);
  });

  test("a handler that goes on after a deadlock is told so, and nothing of it is stored", async () => {
    const { store, admin, effects } = await opened();
    await admin.query("INSERT INTO effects VALUES ('a'), ('b')");
    const other = await admin.getConnection();
    onTestFinished(() => other.release());
    await other.query("START TRANSACTION");
    // The server undoes the transaction that has changed less.
    await other.query("INSERT INTO effects VALUES ('c'), ('d'), ('e'), ('f'), ('g'), ('h')");
    await other.query("SELECT * FROM effects WHERE name = 'a' FOR UPDATE");
    const answer = store.transact(SCOPE, upTo(3), async (tx) => {
      await put(tx, "one");
      await tx.query("SELECT * FROM effects WHERE name = 'b' FOR UPDATE");
      const second = other.query("SELECT * FROM effects WHERE name = 'b' FOR UPDATE");
      await tx.query("SELECT * FROM effects WHERE name = 'a' FOR UPDATE").catch(() => undefined);
      await second;
    });
    expect(await outcomeOf(answer)).toMatchObject({
      ...MISUSED,
      message: expect.stringContaining("deadlock"),
    });
    await other.query("ROLLBACK");
    expect(await effects()).toEqual(["a", "b"]);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
  });

  test("a lock that was waited for in vain undoes the whole transaction, which is to be run again", async () => {
    const { store, admin, effects } = await opened();
    await admin.query("INSERT INTO effects VALUES ('a')");
    const other = await admin.getConnection();
    onTestFinished(() => other.release());
    await other.query("START TRANSACTION");
    await other.query("SELECT * FROM effects WHERE name = 'a' FOR UPDATE");
    const answer = store.transact(SCOPE, upTo(3), async (tx) => {
      await put(tx, "one");
      await tx.query("SET SESSION innodb_lock_wait_timeout = 1");
      await tx.query("SELECT * FROM effects WHERE name = 'a' FOR UPDATE");
    });
    expect(await outcomeOf(answer)).toMatchObject(UNAVAILABLE);
    await other.query("ROLLBACK");
    expect(await effects()).toEqual(["a"]);
  });

  test("a conflict within another database, and a duplicate, are the handler's own errors", async () => {
    const { store } = await opened();
    const conflict = Object.assign(new Error("elsewhere"), { errno: 1213, sqlState: "40001" });
    const answer = store.transact(SCOPE, upTo(3), () => Promise.reject(conflict));
    expect(await outcomeOf(answer)).toBe(conflict);
    const twice = store.transact(SCOPE, upTo(3), async (tx) => {
      await put(tx, "one");
      await put(tx, "one");
    });
    expect(await outcomeOf(twice)).toMatchObject({ errno: 1062 });
  });

  test("transactions that hold all connections they may have leave two for heartbeats and checkpoints", async () => {
    const { store } = await opened({}, 4);
    await store.joinWorker(SCOPE, WORKER);
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let running = 0;
    const all = Array.from({ length: 5 }, (_, n) =>
      store.transact(SCOPE, upTo(3, `shard-${n}`), async () => {
        running += 1;
        await held;
      }),
    );
    await until("two transactions", async () => ({ done: running === 2, state: running }));
    const calls = [
      store.heartbeat(SCOPE, WORKER),
      store.setCheckpoint(SCOPE, writeOf(at(1), "other")),
    ];
    expect(await Promise.all(calls)).toMatchObject([{ outcome: "alive" }, { outcome: "written" }]);
    expect(running).toBe(2);
    letGo();
    const answers = await Promise.all(all);
    expect(answers.map(({ outcome }) => outcome)).toEqual(Array(5).fill("committed"));
  });

  test("stores on one pool with callbacks share its connections' turns", async () => {
    const { options } = await opened();
    const pool = createCallbackPool({ ...options, connectionLimit: 3 });
    onTestFinished(() => pool.promise().end());
    const stores = [openStore({ pool }), openStore({ pool })];
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const running = new Set<number>();
    const all = stores.map((store, n) =>
      store.transact(SCOPE, upTo(3, `shard-${n}`), async (tx) => {
        running.add(n);
        await put(tx, `shard-${n}`);
        await held;
      }),
    );
    await until("a transaction", async () => ({ done: running.size > 0, state: running.size }));
    const calls = stores.map((store) => store.setCheckpoint(SCOPE, writeOf(at(1), "other")));
    expect(await Promise.all(calls)).toHaveLength(2);
    expect(running.size).toBe(1);
    letGo();
    expect(await Promise.all(all)).toMatchObject([
      { outcome: "committed" },
      { outcome: "committed" },
    ]);
  });

  test("a pool of two connections has none for transactions", async () => {
    const { store } = await opened({}, 2);
    const error = await outcomeOf(store.transact(SCOPE, upTo(3), () => undefined));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option: "pool", message: expect.stringContaining("3") });
  });

  test("a handler that leaves its transaction idle loses it: it is to be run again", async () => {
    const { admin, options, effects } = await opened();
    const store = openStore({ connection: options, transactionIdleMs: 1000 });
    const answer = store.transact(SCOPE, upTo(3), async (tx) => {
      await put(tx, "one");
      const { threadId } = tx;
      await until("the end of the session", async () => {
        const [rows] = await admin.query<RowDataPacket[]>(
          "SELECT id FROM information_schema.processlist WHERE id = ?",
          [threadId],
        );
        return { done: rows.length === 0, state: rows };
      });
      await put(tx, "two");
    });
    expect(await outcomeOf(answer)).toMatchObject(UNAVAILABLE);
    expect(await effects()).toEqual([]);
  });

  test("on a pool whose owner has set it oddly a transaction is whole, and leaves no trace", async () => {
    const { admin, options, effects } = await opened();
    const pool = createPool({
      ...options,
      connectionLimit: 3,
      rowsAsArray: true,
      flags: ["-FOUND_ROWS"],
    });
    onTestFinished(() => pool.end());
    pool.on("connection", (each) => {
      void each.query("SET SESSION completion_type = 1, autocommit = 1, sql_mode = ''");
      void each.query("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE");
      void each.query("SET SESSION TRANSACTION READ ONLY");
    });
    const store = openStore({ pool });
    const settings = async (connection: PoolConnection): Promise<string> => {
      const [rows] = await connection.query("SHOW SESSION VARIABLES");
      return JSON.stringify(rows).replaceAll(
        /\["(timestamp|rand_seed\d|pseudo_thread_id|last_[a-z_]+|statement_id)","[^"]*"\]/g,
        "",
      );
    };
    let before = "";
    const first = await store.transact(SCOPE, upTo(3), async (tx) => {
      before = await settings(tx);
      await put(tx, "one");
    });
    expect(first.outcome).toBe("committed");
    expect(await effects()).toEqual(["one"]);
    const again = await store.transact(
      SCOPE,
      { ...upTo(9), from: { sequenceNumber: numberAt(4) } },
      async (tx) => {
        expect(await settings(tx)).toBe(before);
        await put(tx, "two");
      },
    );
    expect(again.outcome).toBe("committed");
    const [open] = await admin.query<RowDataPacket[]>(
      "SELECT count(*) AS n FROM information_schema.innodb_trx AS t JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE()",
    );
    expect(Number(open[0]!["n"])).toBe(0);
  });

  test("a connection that comes with somebody's open transaction is passed over", async () => {
    const { store, pool, effects } = await opened();
    const left = await pool.getConnection();
    await left.query("START TRANSACTION");
    await put(left, "left");
    left.release();
    const answer = await store.transact(SCOPE, upTo(3), (tx) => put(tx, "one"));
    expect(answer.outcome).toBe("committed");
    expect(await effects()).toEqual(["one"]);
  });

  test("checkpoint() outside of a transaction is refused, and writes nothing", async () => {
    const { store, pool } = await opened();
    const connection = await pool.getConnection();
    const answer = await outcomeOf(store.checkpointIn(fromConnection(connection), SCOPE, upTo(3)));
    connection.release();
    expect(answer).toMatchObject(MISUSED);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
  });

  test("checkpoint() compares what is stored by now, whatever the handler's transaction has seen before", async () => {
    const { store, pool } = await opened();
    await store.setCheckpoint(SCOPE, writeOf(at(0)));
    const connection = await pool.getConnection();
    // MariaDB of late refuses to lock a row that has changed since.
    await connection.query(
      "SET SESSION /*M!110600 innodb_snapshot_isolation = 0, */ autocommit = 1",
    );
    await connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");
    await store.setCheckpoint(SCOPE, writeOf(at(2)));
    const answer = await outcomeOf(store.checkpointIn(fromConnection(connection), SCOPE, upTo(3)));
    await connection.query("ROLLBACK");
    connection.destroy();
    expect(answer).toEqual({ answer: { outcome: "already-done", stored: at(2) } });
  });
});

test("transactionIdleMs belongs to a connection, not to a pool", () => {
  const pool = createPool({});
  onTestFinished(() => pool.end());
  const given = { pool, transactionIdleMs: 2000 } as unknown as MysqlStoreOptions;
  expect(() => new MysqlStore(given)).toThrow(ConfigError);
});

test("a server that has become read-only passes, another option that prevents a statement does not", () => {
  const store = openStore({ connection: "mysql://localhost/app" });
  const prevented = (option: string): Error =>
    Object.assign(new Error(`The MySQL server is running with the --${option} option`), {
      errno: 1290,
      sqlState: "HY000",
    });
  expect(store.isPassing(prevented("read-only"))).toBe(true);
  expect(store.isPassing(prevented("secure-file-priv"))).toBe(false);
});
