import { join } from "node:path";
import type { StoreScope, TransactionalWrite } from "@kc/core";
import Libsql from "libsql";
import { expect, onTestFinished, test } from "vitest";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

const SCOPE: StoreScope = { application: "billing", streamName: "orders" };
const SHARD = "shardId-000000000000";
const positionAt = (sequenceNumber: string) => ({ kind: "position", sequenceNumber }) as const;
const WRITE: TransactionalWrite = {
  shardId: SHARD,
  from: { sequenceNumber: "1" },
  checkpoint: positionAt("3"),
};
const MISUSED = { name: "StoreError", code: "TRANSACTION_MISUSED", retryable: false } as const;

async function opened() {
  const directory = temporaryDirectory();
  const path = join(directory.path, "checkpoints.db");
  const database = new Libsql(path);
  const store = new SqliteStore({ database, busyTimeoutMs: 200 });
  await store.setup();
  database.exec(`CREATE TABLE parents (name TEXT PRIMARY KEY); CREATE TABLE effects (
    name TEXT NOT NULL REFERENCES parents (name) DEFERRABLE INITIALLY DEFERRED)`);
  database.exec("PRAGMA foreign_keys = ON; INSERT INTO parents VALUES ('one'), ('two')");
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    database.close();
    directory.remove();
  });
  const put = (tx: Libsql.Database, name: string): unknown =>
    tx.prepare("INSERT INTO effects VALUES (?)").run([name]);
  const effects = (): readonly unknown[] =>
    database
      .prepare("SELECT name FROM effects")
      .all([])
      .map((row) => Object(row).name);
  return { store, database, path, put, effects };
}

/** Opens a transaction of its own when it is called. */
function insertOne(tx: Libsql.Database): unknown {
  const insert = tx.prepare("INSERT INTO effects VALUES ('one')");
  return tx.transaction(() => insert.run([]));
}

function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );
}

test("a failed statement that undid the transaction lets no other one through, whatever the handler makes of its error", async () => {
  const { store, database, put, effects } = await opened();
  database.exec("CREATE TABLE keys (key TEXT PRIMARY KEY ON CONFLICT ROLLBACK)");
  const answer = store.transact(SCOPE, WRITE, (tx) => {
    put(tx, "one");
    tx.exec("INSERT INTO keys VALUES ('a')");
    try {
      tx.exec("INSERT INTO keys VALUES ('a')");
    } catch {
      // As a handler does that takes a repeat for done.
    }
    put(tx, "two");
  });
  expect(await failure(answer)).toMatchObject({ ...MISUSED, shardId: SHARD });
  expect(effects()).toEqual([]);
  expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
});

test("a handler that answers with a promise is told so, and cannot go on", async () => {
  const { store, put, effects } = await opened();
  let late: unknown;
  const answer = store.transact(SCOPE, WRITE, async (tx) => {
    put(tx, "one");
    await Promise.resolve();
    try {
      put(tx, "two");
    } catch (error) {
      late = error;
    }
  });
  const error = await failure(answer);
  expect(error).toMatchObject({ ...MISUSED, message: expect.stringContaining("synchronous") });
  expect(late).toMatchObject(MISUSED);
  expect(effects()).toEqual([]);
});

test.each<[string, (tx: Libsql.Database) => unknown]>([
  ["a statement", (tx) => tx.prepare("INSERT INTO effects VALUES ('one')")],
  ["a function that opens a transaction", (tx) => insertOne(tx)],
  ["a function that opens one at once", (tx) => Object(insertOne(tx)).immediate],
])("%s that the handler made before it waited stores nothing later", async (_, make) => {
  const { store, effects } = await opened();
  let late: unknown;
  const answer = store.transact(SCOPE, WRITE, async (tx) => {
    const made = make(tx);
    await Promise.resolve();
    try {
      if (typeof made === "function") made();
      else Object(made).run([]);
    } catch (error) {
      late = error;
    }
  });
  expect(await failure(answer)).toMatchObject(MISUSED);
  expect(late).toMatchObject(MISUSED);
  expect(effects()).toEqual([]);
});

test("a statement that the handler made before a failed one undid the transaction stores nothing", async () => {
  const { store, database, effects } = await opened();
  database.exec("CREATE TABLE keys (key TEXT PRIMARY KEY ON CONFLICT ROLLBACK)");
  const answer = store.transact(SCOPE, WRITE, (tx) => {
    const mark = tx.prepare("INSERT INTO keys VALUES ('a')");
    const insert = tx.prepare("INSERT INTO effects VALUES (?)");
    mark.run([]);
    insert.run(["one"]);
    try {
      mark.run([]);
    } catch {
      // As a handler does that takes a repeat for done.
    }
    insert.run(["two"]);
  });
  expect(await failure(answer)).toMatchObject({ ...MISUSED, shardId: SHARD });
  expect(effects()).toEqual([]);
});

test("a statement that is kept for the next transaction works in it", async () => {
  const { store, effects } = await opened();
  let kept: Libsql.Statement | undefined;
  const insert = (name: string) => (tx: Libsql.Database) => {
    kept ??= tx.prepare("INSERT INTO effects VALUES (?)");
    expect(kept.pluck(false)).toBe(kept);
    return kept.run([name]).changes;
  };
  await store.transact(SCOPE, WRITE, insert("one"));
  expect(() => kept!.run(["two"])).toThrow(expect.objectContaining(MISUSED));
  const next = { ...WRITE, from: { sequenceNumber: "4" }, checkpoint: positionAt("6") };
  const answer = await store.transact(SCOPE, next, insert("two"));
  expect(answer).toStrictEqual({ outcome: "committed", value: 1 });
  expect(effects()).toEqual(["one", "two"]);
});

test("a query that the handler left half-way does not keep the store from writing after another process", async () => {
  const { store, database, path, put } = await opened();
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE numbers (n)");
  database.exec(`WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted LIMIT 300)
    INSERT INTO numbers SELECT n FROM counted`);
  const left: unknown[] = [];
  await store.transact(SCOPE, WRITE, (tx) => {
    const rows = tx.prepare("SELECT n FROM numbers").iterate([]);
    left.push(rows, rows.next().value);
  });
  expect(left[1]).toMatchObject({ n: 1 });
  const other = new Libsql(path);
  onTestFinished(() => void other.close());
  other.exec("INSERT INTO numbers VALUES (0)");
  const next = { ...WRITE, from: { sequenceNumber: "4" }, checkpoint: positionAt("6") };
  const answer = await store.transact(SCOPE, next, (tx) => void put(tx, "one"));
  expect(answer.outcome).toBe("committed");
});

test("a statement that the driver has left under way is the handler's misuse, not a lock to wait for", async () => {
  const { store, effects } = await opened();
  let calls = 0;
  const answer = store.transact(SCOPE, WRITE, (tx) => {
    calls += 1;
    tx.prepare("INSERT INTO effects VALUES ('one') RETURNING name").run([]);
  });
  expect(await failure(answer)).toMatchObject({
    ...MISUSED,
    shardId: SHARD,
    message: expect.stringContaining("RETURNING"),
  });
  expect(calls).toBe(1);
  expect(effects()).toEqual([]);
});

test("another process's lock is waited for before the handler is called, and no longer than busyTimeoutMs", async () => {
  const { path, put, effects } = await opened();
  const other = new Libsql(path);
  const store = new SqliteStore({ path, busyTimeoutMs: 100 });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    other.close();
  });
  other.exec("BEGIN IMMEDIATE");
  let calls = 0;
  const work = (tx: Libsql.Database): void => {
    calls += 1;
    put(tx, "one");
  };
  const error = await failure(store.transact(SCOPE, WRITE, work));
  expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  expect(calls).toBe(0);
  other.exec("ROLLBACK");
  expect((await store.transact(SCOPE, WRITE, work)).outcome).toBe("committed");
  expect(effects()).toEqual(["one"]);
});

test("work that is done already is not called", async () => {
  const { store } = await opened();
  await store.transact(SCOPE, WRITE, () => undefined);
  let calls = 0;
  const again = await store.transact(SCOPE, WRITE, () => void (calls += 1));
  expect(again).toEqual({ outcome: "already-done", stored: WRITE.checkpoint });
  expect(calls).toBe(0);
});
