import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CheckpointWrite, StoreScope } from "@kc/core";
import Libsql from "libsql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SqliteStore, type SqliteDatabase, type SqliteStoreOptions } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

const scope: StoreScope = { application: "billing", streamName: "orders" };
const writeTo = (shardId: string, n = 1): CheckpointWrite => ({
  shardId,
  checkpoint: { kind: "position", sequenceNumber: String(n) },
});
const write = writeTo("shardId-000000000000");

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
const stores: SqliteStore<SqliteDatabase>[] = [];
const databases: Libsql.Database[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, "a.db");
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
  for (const database of databases.splice(0)) database.close();
  directory.remove();
});

function open(
  options: SqliteStoreOptions = { path, busyTimeoutMs: 100 },
): SqliteStore<SqliteDatabase> {
  const store = new SqliteStore(options);
  stores.push(store);
  return store;
}

function connect(name = path): Libsql.Database {
  const database = new Libsql(name);
  databases.push(database);
  return database;
}

async function expectFailure(
  call: Promise<unknown>,
  expected: { readonly code: string; readonly retryable: boolean; readonly text: string },
): Promise<void> {
  const { text, ...shape } = expected;
  const error = await call.catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    ...shape,
    name: "StoreError",
    message: expect.stringContaining(text),
  });
}

const corrupt = { code: "STORE_CORRUPT", retryable: false } as const;
const denied = { code: "STORE_ACCESS_DENIED", retryable: false } as const;
const unavailable = { code: "STORE_UNAVAILABLE", retryable: true } as const;
const closed = { code: "STORE_CLOSED", retryable: false } as const;

describe("a file", () => {
  it("that is not a database is corrupt", async () => {
    writeFileSync(path, "these are somebody's notes\n".repeat(100));
    await expectFailure(open().getCheckpoints(scope), { ...corrupt, text: "SQLITE_NOTADB" });
    await expectFailure(open().setup(), { ...corrupt, text: path });
  });

  it("whose pages are overwritten is corrupt", async () => {
    const writer = connect();
    const first = open({ database: writer });
    await first.setup();
    await first.setCheckpoints(
      scope,
      Array.from({ length: 500 }, (_, index) => writeTo(`shard-${index}`)),
    );
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xab, 4096));
    await expectFailure(open().getCheckpoints(scope), { ...corrupt, text: "restore it" });
  });

  it("in a directory that does not exist cannot be opened", async () => {
    const missing = join(directory.path, "missing", "a.db");
    const call = open({ path: missing }).getCheckpoints(scope);
    await expectFailure(call, { ...denied, text: "its directory must exist" });
  });

  it("whose place a directory has cannot be opened", async () => {
    mkdirSync(path);
    await expectFailure(open().setup(), { ...denied, text: path });
  });

  it("whose log cannot be opened fails, and works once it can", async () => {
    const log = `${path}-wal`;
    const setupOnly = connect();
    setupOnly.exec("PRAGMA journal_mode = WAL");
    databases.splice(0).forEach((database) => database.close());
    mkdirSync(log);
    const store = open();
    await expectFailure(store.setup(), { ...denied, text: "SQLITE_CANTOPEN" });
    rmdirSync(log);
    await expect(store.setup()).resolves.toBeUndefined();
  });

  it("that is opened read-only refuses writes and answers reads", async () => {
    await open().setCheckpoint(scope, write);
    const reader = open({ database: connect(`file:${path}?mode=ro`) });
    await expectFailure(reader.setCheckpoint(scope, writeTo(write.shardId, 2)), {
      ...denied,
      text: "SQLITE_READONLY",
    });
    expect(await reader.getCheckpoint(scope, write.shardId)).toStrictEqual(write.checkpoint);
  });

  it("on a connection that is read-only refuses writes", async () => {
    await open().setup();
    const database = connect();
    database.exec("PRAGMA query_only = ON");
    const text = "writable for this user";
    await expectFailure(open({ database }).setCheckpoint(scope, write), { ...denied, text });
  });

  it("that holds what no checkpoint can be says which shard to reset", async () => {
    const store = open();
    await store.setCheckpoint(scope, write);
    connect().exec("UPDATE kc_checkpoints SET sequence_number = 'SHARD_END'");
    await expectFailure(store.getCheckpoints(scope), { ...corrupt, text: "SHARD_END" });
    await store.resetCheckpoint(scope, write.shardId, undefined);
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
  });
});

describe("a full disk", () => {
  it("fails in passing, keeps nothing of the batch, and what was written before", async () => {
    const database = connect();
    const store = open({ database });
    await store.setup();
    await store.setCheckpoint(scope, write);
    const pages = Number(
      Object.values(Object(database.prepare("PRAGMA page_count").all([])[0]))[0],
    );
    database.exec(`PRAGMA max_page_count = ${pages + 2}`);
    const batch = Array.from({ length: 1000 }, (_, index) => writeTo(`shard-${index}`));
    await expectFailure(store.setCheckpoints(scope, batch), { ...unavailable, text: "make room" });
    expect(database.inTransaction).toBe(false);
    const kept = new Map([[write.shardId, write.checkpoint]]);
    expect(await store.getCheckpoints(scope)).toStrictEqual(kept);

    database.exec("PRAGMA max_page_count = 100000");
    expect(await store.setCheckpoints(scope, batch)).toHaveLength(1000);
    expect((await store.getCheckpoints(scope)).size).toBe(1001);
  });
});

describe("a lock that another connection holds", () => {
  it("is waited for while the event loop runs, then fails in passing", async () => {
    const store = open();
    await store.setCheckpoint(scope, write);
    const other = connect();
    other.exec("BEGIN IMMEDIATE");
    const call = store.setCheckpoint(scope, writeTo(write.shardId, 2));
    await expectFailure(call, { ...unavailable, text: "SQLITE_BUSY" });
    const patient = open({ path, busyTimeoutMs: 60_000 });
    const waiting = patient.setCheckpoint(scope, writeTo(write.shardId, 2));
    for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
    other.exec("ROLLBACK");
    expect((await waiting).outcome).toBe("written");
  });

  it("lets the call through when it is given back in time", async () => {
    const store = open({ path, busyTimeoutMs: 60_000 });
    await store.setup();
    const other = connect();
    other.exec("BEGIN IMMEDIATE");
    const call = store.setCheckpoint(scope, write);
    setImmediate(() => other.exec("COMMIT"));
    expect((await call).outcome).toBe("written");
  });

  it("lets an abort end the wait with its reason", async () => {
    const store = open({ path, busyTimeoutMs: 600_000 });
    await store.setup();
    connect().exec("BEGIN IMMEDIATE");
    const controller = new AbortController();
    const reason = new Error("no more patience");
    const call = store.setCheckpoint(scope, write, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(call).rejects.toBe(reason);
  });

  it("lets dispose end the wait with STORE_CLOSED", async () => {
    const store = open({ path, busyTimeoutMs: 600_000 });
    await store.setup();
    connect().exec("BEGIN IMMEDIATE");
    const call = store.setCheckpoint(scope, write);
    setImmediate(() => void store[Symbol.asyncDispose]());
    await expectFailure(call, { ...closed, text: "disposed" });
  });

  it("does not keep readers out", async () => {
    const store = open();
    await store.setCheckpoint(scope, write);
    connect().exec("BEGIN IMMEDIATE; UPDATE kc_checkpoints SET sequence_number = '99'");
    expect(await store.getCheckpoint(scope, write.shardId)).toStrictEqual(write.checkpoint);
  });
});

describe("a database that was handed in", () => {
  it("is left alone while its owner has a transaction open", async () => {
    const database = connect();
    const store = open({ database, busyTimeoutMs: 50 });
    await store.setup();
    database.exec("BEGIN");
    const text = "its owner has a transaction open";
    await expectFailure(store.setCheckpoint(scope, write), { ...unavailable, text });
    await expectFailure(store.getCheckpoints(scope), { ...unavailable, text });
    database.exec("ROLLBACK");
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("may answer with bigints", async () => {
    const database = connect().defaultSafeIntegers(true);
    const store = open({ database });
    await store.setup();
    const checkpoint = { kind: "position", sequenceNumber: "5", subSequenceNumber: 7 } as const;
    const row = {
      ...scope,
      streamARN: "arn",
      startedAt: new Date(5),
      start: { timestamp: new Date(6) },
      migrated: true,
    };
    await store.setCheckpoint(scope, { shardId: write.shardId, checkpoint });
    expect(await store.getCheckpoint(scope, write.shardId)).toStrictEqual(checkpoint);
    expect(await store.openApplication(scope, row)).toStrictEqual({ outcome: "created", row });
  });

  it("that its owner closed is distinguished from an outage", async () => {
    const database = new Libsql(path);
    const store = open({ database });
    await store.setup();
    database.close();
    await expectFailure(store.getCheckpoints(scope), { ...closed, text: "has been closed" });
  });
});
