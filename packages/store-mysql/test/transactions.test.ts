import { ConfigError, type TransactionalWrite } from "@kc/core";
import { createPool, type PoolConnection, type RowDataPacket } from "mysql2/promise";
import { describe, expect, onTestFinished, test } from "vitest";
import { fromConnection, MysqlStore, type MysqlStoreOptions } from "../src/index.ts";
import { ownDatabase, ownPool, SERVERS } from "./support/servers.ts";
import { at, numberAt, openStore, SCOPE, SHARD, UNAVAILABLE, writeOf } from "./support/store.ts";
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

  test("a `USE` that the server does not report is seen, and no later handler gets the connection", async () => {
    const { store, effects } = await opened();
    const other = await opened();
    const [rows] = await other.admin.query<RowDataPacket[]>("SELECT DATABASE() AS name");
    const misusing = store.transact(SCOPE, upTo(3), async (tx) => {
      await tx.query("SET SESSION session_track_schema = 0");
      await tx.query({ sql: `use\`${rows[0]!["name"]}\`` });
    });
    expect(await outcomeOf(misusing)).toMatchObject({ ...MISUSED, shardId: SHARD });
    for (const name of ["one", "three", "two"]) {
      await store.transact(SCOPE, upTo(3, name), (tx) => put(tx, name));
    }
    expect(await effects()).toEqual(["one", "three", "two"]);
    expect(await other.effects()).toEqual([]);
  });

  test("a `USE` in the handler's own transaction does not lead the checkpoint elsewhere", async () => {
    const { store, pool } = await opened();
    const other = await opened();
    const [rows] = await other.admin.query<RowDataPacket[]>("SELECT DATABASE() AS name");
    const connection = await pool.getConnection();
    await connection.beginTransaction();
    await connection.query(`USE ${rows[0]!["name"]}`);
    await store.checkpointIn(fromConnection(connection), SCOPE, upTo(3));
    await connection.commit();
    connection.destroy();
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3));
    expect(await other.store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
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
  expect(store.isTransient(prevented("read-only"))).toBe(true);
  expect(store.isTransient(prevented("secure-file-priv"))).toBe(false);
});
