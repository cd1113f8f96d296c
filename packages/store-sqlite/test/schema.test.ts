import { join } from "node:path";
import type { KcError, StoreScope } from "@kc/core";
import Libsql from "libsql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SqliteStore } from "../src/index.ts";
import { Session } from "../src/driver.ts";
import { migrate, SCHEMA_STEPS, schemaVersion } from "../src/schema.ts";
import { temporaryDirectory } from "./support/files.ts";

const scope: StoreScope = { application: "billing", streamName: "orders" };
const write = {
  shardId: "shardId-000000000000",
  checkpoint: { kind: "position", sequenceNumber: "1" },
} as const;

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
let database: Libsql.Database;
let store: SqliteStore;

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, "a.db");
  database = new Libsql(path);
  store = new SqliteStore({ path });
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  database.close();
  directory.remove();
});

async function schemaError(call: Promise<unknown>): Promise<KcError> {
  const error = await call.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "STORE_SCHEMA", retryable: false, name: "StoreError" });
  return error as KcError;
}

const tables = (): unknown[] =>
  database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all([]);

describe("the first use", () => {
  it("makes the tables in a file that holds nothing", async () => {
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
    expect(tables()).toStrictEqual([
      { name: "kc_applications" },
      { name: "kc_checkpoints" },
      { name: "kc_groups" },
      { name: "kc_schema" },
      { name: "kc_workers" },
    ]);
  });

  it("makes none in a file of somebody else, and says what to run", async () => {
    database.exec("CREATE TABLE invoices (id INTEGER)");
    const error = await schemaError(store.getCheckpoint(scope, write.shardId));
    expect(error.message).toContain("await store.setup()");
    expect(tables()).toStrictEqual([{ name: "invoices" }]);
    await store.setup();
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("makes none in a database that was handed in", async () => {
    const borrowing = new SqliteStore({ database });
    await schemaError(borrowing.setCheckpoint(scope, write));
    expect(tables()).toStrictEqual([]);
    await borrowing.setup();
    expect((await borrowing.setCheckpoint(scope, write)).outcome).toBe("written");
  });
});

describe("setup()", () => {
  it("leaves the file owner's user_version and tables alone", async () => {
    database.exec("CREATE TABLE invoices (id INTEGER); PRAGMA user_version = 7");
    await store.setup();
    expect(database.prepare("PRAGMA user_version").all([])).toStrictEqual([{ user_version: 7 }]);
    expect(tables()).toContainEqual({ name: "invoices" });
  });

  it("refuses a schema that is newer than it knows, and so does every call", async () => {
    await store.setup();
    const next = SCHEMA_STEPS.length + 1;
    database.exec(`INSERT INTO kc_schema (version) VALUES (${next})`);
    const later = new SqliteStore({ path });
    for (const call of [later.setup(), later.getCheckpoints(scope)]) {
      const error = await schemaError(call);
      expect(error.message).toContain(`version ${next}`);
      expect(error.message).toContain("upgrade");
    }
    await later[Symbol.asyncDispose]();
  });

  it("refuses tables of its names that it did not make", async () => {
    database.exec("CREATE TABLE kc_checkpoints (shard_id TEXT)");
    await schemaError(store.setup());
    expect(tables(), "nothing is half done").toStrictEqual([{ name: "kc_checkpoints" }]);
  });

  it("is needed again when a table was dropped while the store was open", async () => {
    await store.setCheckpoint(scope, write);
    database.exec("DROP TABLE kc_checkpoints");
    const error = await schemaError(store.setCheckpoint(scope, write));
    expect(error.message).toContain("no such table: kc_checkpoints");
  });

  it("is needed for a file whose tables lack a column", async () => {
    await store.setup();
    database.exec("ALTER TABLE kc_checkpoints RENAME COLUMN shard_end TO ended");
    await schemaError(store.getCheckpoints(scope));
  });
});

describe("an upgrade", () => {
  const nextSteps = [...SCHEMA_STEPS, "ALTER TABLE kc_checkpoints ADD COLUMN note TEXT"];

  it("takes the missing steps alone, and keeps the rows", async () => {
    await store.setCheckpoint(scope, write);
    const session = new Session(database);
    migrate(session, nextSteps);
    expect(schemaVersion(session)).toBe(nextSteps.length);
    const rows = session.query("SELECT sequence_number, note FROM kc_checkpoints");
    expect(rows).toStrictEqual([{ sequence_number: "1", note: null }]);
  });

  it("that fails half-way leaves the old version whole", async () => {
    await store.setCheckpoint(scope, write);
    const session = new Session(database);
    expect(() => migrate(session, [...nextSteps, "CREATE NONSENSE"])).toThrow("syntax error");
    expect(schemaVersion(session)).toBe(SCHEMA_STEPS.length);
    expect(() => session.query("SELECT note FROM kc_checkpoints")).toThrow("no such column");
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("same");
  });

  it("from the schema without leases keeps checkpoints, and makes leases of them", async () => {
    const session = new Session(database);
    migrate(session, SCHEMA_STEPS.slice(0, 1));
    const values = [scope.application, scope.streamName, write.shardId];
    session.query(
      `INSERT INTO kc_checkpoints (application, stream_name, shard_id, sequence_number)
         VALUES (?, ?, ?, '7') RETURNING 1`,
      values,
    );
    await store.setup();
    await store.putShards(scope, [{ shardId: write.shardId, lineage: "{}" }]);
    const { leases } = await store.listLeases(scope);
    const checkpoint = { kind: "position", sequenceNumber: "7" };
    expect(leases).toMatchObject([{ owner: undefined, epoch: 0, checkpoint }]);
  });

  it("is asked for by a newer package that finds the older schema", async () => {
    database.exec("CREATE TABLE kc_schema (version INTEGER NOT NULL) STRICT");
    const error = await schemaError(store.getCheckpoints(scope));
    expect(error.message).toContain("run `await store.setup()` once");
    await store.setup();
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
  });
});

it.each([
  "kc_checkpoints SET epoch = -1",
  "kc_checkpoints SET shard_end = 2",
  "kc_checkpoints SET sub_sequence_number = -1",
  "kc_checkpoints SET lineage = printf('%.*c', 65537, 'x')",
  "kc_workers SET weight = 0",
  "kc_workers SET max_shards = 0",
  "kc_workers SET counter = -1",
  "kc_groups SET revision = -1",
])("UPDATE %s is refused from every writer", async (update) => {
  await store.joinWorker(scope, {
    workerId: "worker",
    incarnation: "1",
    weight: 1,
    maxShards: undefined,
  });
  await store.putShards(scope, [{ shardId: write.shardId, lineage: "" }]);
  expect(() => database.exec(`UPDATE ${update}`)).toThrow("CHECK constraint failed");
});
