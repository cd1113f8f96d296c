import { readFileSync } from "node:fs";
import type { KcError } from "@kc/core";
import pg from "pg";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore, type PostgresStoreOptions } from "../src/index.ts";
import { SCOPE, SHARD, WORKER } from "./support/leases.ts";
import { at, DENIED, failure, open, role, SCHEMA, type Opened } from "./support/open.ts";

const tablesIn = async ({ admin, schema }: Opened): Promise<readonly string[]> => {
  const { rows } = await admin.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 ORDER BY 1",
    [schema],
  );
  return rows.map(({ name }) => name);
};

const storeOn = ({ pool, schema }: Opened, own: Partial<PostgresStoreOptions>): PostgresStore =>
  new PostgresStore({ pool, schema, ...own } as PostgresStoreOptions);

/** A store of a user who has rights of its own alone. */
async function storeOf(opened: Opened, user: string, table?: string): Promise<PostgresStore> {
  const { host, port, password, database } = inject("postgres");
  const pool = new pg.Pool({ host, port, database, user, password, max: 2 });
  onTestFinished(() => pool.end());
  return new PostgresStore({ pool, schema: opened.schema, ...(table ? { table } : {}) });
}

/** The script that an error's message ends with. */
const scriptOf = (error: unknown): string => (error as KcError).message.split("owner:\n")[1] ?? "";

describe("setup()", () => {
  test("makes its tables, and nothing at its second time", async () => {
    const opened = await open(inject("postgres"));
    const store = storeOn(opened, { table: "progress" });
    await store.setup();
    expect(await tablesIn(opened)).toEqual([
      "kinesis_consumer",
      "kinesis_consumer_applications",
      "kinesis_consumer_leases",
      "kinesis_consumer_revisions",
      "kinesis_consumer_workers",
      "progress",
      "progress_applications",
      "progress_leases",
      "progress_revisions",
      "progress_workers",
    ]);
    await store.setCheckpoint(SCOPE, at(1));
    // Any creation of a table would meet this lock.
    const locker = await opened.admin.connect();
    await locker.query(`BEGIN; LOCK TABLE ${opened.schema}.progress IN ROW EXCLUSIVE MODE`);
    await store.setup();
    await locker.query("ROLLBACK");
    locker.release();
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(1).checkpoint);
  });

  test("by ten processes at once succeeds for each, on a schema that does not exist", async () => {
    const { admin, schema } = await open(inject("postgres"));
    const { connectionString } = inject("postgres");
    const fresh = `${schema}_fresh`;
    const stores = Array.from(
      { length: 10 },
      () => new PostgresStore({ connection: connectionString, schema: fresh }),
    );
    await Promise.all(stores.map((store) => store.setup()));
    expect((await stores[9]!.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
    for (const store of stores) await store[Symbol.asyncDispose]();
    await admin.query(`DROP SCHEMA ${fresh} CASCADE`);
  });

  test("without a right to create succeeds where nothing is missing", async () => {
    const opened = await open(inject("postgres"));
    const user = await role(opened);
    await opened.admin.query(`GRANT USAGE ON SCHEMA ${opened.schema} TO ${user}`);
    const store = await storeOf(opened, user);
    await expect(store.setup()).resolves.toBeUndefined();
  });

  test("without that right is denied where something is, with the script to run", async () => {
    const opened = await open(inject("postgres"));
    const user = await role(opened);
    await opened.admin.query(`GRANT USAGE ON SCHEMA ${opened.schema} TO ${user}`);
    const store = await storeOf(opened, user, "progress");
    const error = await failure(store.setup());
    expect(error).toMatchObject(DENIED);
    await opened.admin.query(scriptOf(error));
    await expect(store.setup()).resolves.toBeUndefined();
  });

  test("may not alter Go's table: denied, and nothing is half done", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    const user = await role(opened);
    await admin.query(`GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${user};
      CREATE TABLE ${schema}.go (namespace text, shard_id text, sequence_number numeric NOT NULL,
        PRIMARY KEY (namespace, shard_id))`);
    const store = await storeOf(opened, user, "go");
    const error = await failure(store.setup());
    expect(error).toMatchObject(DENIED);
    expect(String(error)).toContain(`ALTER TABLE "${schema}"."go"`);
    expect(await tablesIn(opened)).not.toContain("go_applications");
  });

  test.each([
    ["lacks a column", "(namespace text, shard_id text)", "has no column sequence_number"],
    [
      "has another type",
      "(namespace text, shard_id text, sequence_number text, PRIMARY KEY (namespace, shard_id))",
      "column sequence_number, which must be numeric",
    ],
    [
      "has no key",
      "(namespace text, shard_id text, sequence_number numeric)",
      "ADD PRIMARY KEY (namespace, shard_id)",
    ],
    [
      "has another key",
      "(namespace text, shard_id text, sequence_number numeric, UNIQUE (namespace))",
      "ADD PRIMARY KEY (namespace, shard_id)",
    ],
    [
      "has a key of some rows",
      `(namespace text, shard_id text, sequence_number numeric);
       CREATE UNIQUE INDEX ON TABLE_NAME (namespace, shard_id) WHERE shard_id > 'x'`,
      "ADD PRIMARY KEY (namespace, shard_id)",
    ],
    [
      "has columns of ours of another type",
      "(namespace text, shard_id text, sequence_number numeric, kc_at text, PRIMARY KEY (namespace, shard_id))",
      "as text its column kc_at",
    ],
  ])("refuses a table that %s, and leaves it as it is", async (_, columns, text) => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    await admin.query(
      `CREATE TABLE ${schema}.other ${columns.replace("TABLE_NAME", `${schema}.other`)}`,
    );
    const store = storeOn(opened, { table: "other" });
    const error = await failure(store.setup());
    expect(error).toMatchObject({ ...SCHEMA, message: expect.stringContaining(text) });
    const { rows } = await admin.query(
      `SELECT FROM pg_attribute WHERE attrelid = '${schema}.other'::regclass AND attname = 'kc_shard_end'`,
    );
    expect(rows).toEqual([]);
    expect(await failure(store.setCheckpoint(SCOPE, at(1)))).toMatchObject(SCHEMA);
  });

  test("completes tables of a version without leases, and keeps their rows", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema, store } = opened;
    await store.setCheckpoint(SCOPE, at(3));
    await admin.query(`DROP TABLE ${schema}.kinesis_consumer_workers;
      DROP TABLE ${schema}.kinesis_consumer_revisions;
      ALTER TABLE ${schema}.kinesis_consumer_leases DROP COLUMN lineage`);
    const error = await failure(store.listLeases(SCOPE));
    expect(error).toMatchObject(SCHEMA);
    expect(String(error)).toContain("ADD COLUMN IF NOT EXISTS lineage text");
    await store.setup();
    await store.joinWorker(SCOPE, WORKER);
    expect(await store.acquireLeases(SCOPE, WORKER, [SHARD]), "it has no lease yet").toEqual([]);
    await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
    const [lease] = await store.acquireLeases(SCOPE, WORKER, [SHARD]);
    expect(lease).toMatchObject({ fence: { epoch: 1 }, checkpoint: at(3).checkpoint });
  });

  test("refuses somebody else's table beside", async () => {
    const opened = await open(inject("postgres"));
    await opened.admin.query(`CREATE TABLE ${opened.schema}.my_leases (flat text)`);
    const error = await failure(storeOn(opened, { table: "my" }).setup());
    expect(error).toMatchObject({ ...SCHEMA, message: expect.stringContaining("my_leases") });
    expect(await tablesIn(opened)).not.toContain("my");
  });
});

describe("a table's name", () => {
  test.each([
    "user",
    "order",
    "select",
    "MixedCase",
    "größe",
    "with-hyphen",
    "$".padStart(50, "_"),
  ])("%s is one name, whatever SQL would make of it", async (table) => {
    const opened = await open(inject("postgres"));
    const store = storeOn(opened, { table });
    await store.setup();
    expect(await tablesIn(opened)).toContain(table);
    expect(await tablesIn(opened)).toContain(`${table}_applications`);
    expect((await store.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
    await store.resetCheckpoint(SCOPE, SHARD, undefined);
    expect(await store.getCheckpoints(SCOPE)).toEqual(new Map());
  });

  test("with capitals is not made beside the one that unquoted SQL means", async () => {
    const opened = await open(inject("postgres"));
    await opened.admin.query(`CREATE TABLE ${opened.schema}.MyTable (namespace text,
      shard_id text, sequence_number numeric, PRIMARY KEY (namespace, shard_id))`);
    const error = await failure(storeOn(opened, { table: "MyTable" }).setup());
    expect(error).toMatchObject({ ...SCHEMA, message: expect.stringContaining('"mytable"') });
    await storeOn(opened, { table: "mytable" }).setup();
  });

  test("without a schema follows the search_path", async () => {
    const opened = await open(inject("postgres"));
    const { connectionString } = inject("postgres");
    const pool = new pg.Pool({ connectionString, options: `-c search_path=${opened.schema}` });
    onTestFinished(() => pool.end());
    const store = new PostgresStore({ pool, table: "progress" });
    await store.setup();
    expect(await tablesIn(opened)).toContain("progress");
    expect((await store.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
  });
});

describe("values", () => {
  const ODD = [`o'brien"; DROP TABLE x; --`, "back\\slash\\' OR 1=1 --", "$1 $$ %s", "E'\\''", "�"];

  test.each(["on", "off"])("are quoted, with standard_conforming_strings %s", async (setting) => {
    const opened = await open(inject("postgres"));
    const { connectionString } = inject("postgres");
    const options = `-c standard_conforming_strings=${setting} -c escape_string_warning=off`;
    const pool = new pg.Pool({ connectionString, options, max: 1 });
    onTestFinished(() => pool.end());
    for (const odd of ODD) {
      const store = new PostgresStore({ pool, schema: opened.schema, namespace: odd });
      const scope = { application: odd, streamName: odd };
      const row = {
        ...scope,
        streamARN: odd,
        start: "LATEST",
        startedAt: new Date(5),
        migrated: false,
      } as const;
      expect(await store.openApplication(scope, row)).toEqual({ outcome: "created", row });
      const write = { ...at(1, odd), fence: { epoch: 1, owner: odd } };
      expect(await store.setCheckpoints(scope, [write])).toEqual([{ outcome: "lease-lost" }]);
      expect((await store.setCheckpoint(scope, at(1, odd))).outcome).toBe("written");
      expect(await store.getCheckpoint(scope, odd)).toEqual(at(1).checkpoint);
      await store.resetCheckpoint(scope, odd, at(7).checkpoint);
      expect(await store.getCheckpoints(scope)).toEqual(new Map([[odd, at(7).checkpoint]]));
    }
  });

  test("that Postgres has no text for are refused, and nothing is written", async () => {
    const { store } = await open(inject("postgres"));
    for (const shardId of ["a\0b", "\ud800"]) {
      const error = await failure(store.setCheckpoint(SCOPE, at(1, shardId)));
      expect(error).toMatchObject({ code: "STORE_FAILED", retryable: false });
    }
    expect(await store.getCheckpoints(SCOPE)).toEqual(new Map());
  });
});

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** The rights that the README says are enough. */
async function grantAsInReadme({ store, admin, schema }: Opened, user: string): Promise<void> {
  await store.deadLetters().setup();
  const grants = README.match(/^GRANT .+ TO consumer;$/gm) ?? [];
  expect(grants).toHaveLength(7);
  for (const grant of grants) {
    const on = grant
      .replace("SCHEMA public", `SCHEMA ${schema}`)
      .replace("ON kin", `ON ${schema}.kin`);
    await admin.query(on.replace("TO consumer", `TO ${user}`));
  }
}

test.each([
  ["leases", "epoch = -1"],
  ["leases", "lineage = repeat('x', 65537)"],
  ["workers", "weight = 0"],
  ["workers", "weight = 'NaN'"],
  ["workers", "max_shards = 0"],
  ["workers", "counter = -1"],
  ["revisions", "revision = -1"],
])("a row of %s with %s is refused from every writer", async (table, assignment) => {
  const { store, admin, schema } = await open(inject("postgres"));
  await store.joinWorker(SCOPE, WORKER);
  await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "" }]);
  const update = admin.query(`UPDATE ${schema}.kinesis_consumer_${table} SET ${assignment}`);
  await expect(update).rejects.toMatchObject({ code: "23514" });
});

describe("rights", () => {
  test("a user without any is denied, and works with those of the README", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    const user = await role(opened);
    const store = await storeOf(opened, user);
    expect(await failure(store.getCheckpoints(SCOPE))).toMatchObject(DENIED);
    await grantAsInReadme(opened, user);
    await store.setup();
    const row = {
      ...SCOPE,
      streamARN: "",
      start: "LATEST",
      startedAt: new Date(),
      migrated: false,
    } as const;
    expect((await store.openApplication(SCOPE, row)).outcome).toBe("created");
    expect((await store.setCheckpoint(SCOPE, at(2))).outcome).toBe("written");
    await store.resetCheckpoint(SCOPE, SHARD, at(1).checkpoint);
    await store.resetCheckpoint(SCOPE, SHARD, undefined);
    expect(await store.getCheckpoints(SCOPE)).toEqual(new Map());
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, [{ shardId: "b", lineage: "" }]);
    const held = await store.acquireLeases(SCOPE, WORKER, ["b"]);
    expect(await store.releaseLeases(SCOPE, held)).toEqual(["b"]);
    await store.removeShards(SCOPE, ["b"]);
    expect(await store.heartbeat(SCOPE, WORKER)).toMatchObject({ outcome: "alive", counter: 1 });
    expect(await store.evictWorker(SCOPE, { ...WORKER, counter: 1 })).toBe("evicted");

    // A flush that meets a lock takes no other right either.
    const flush = (n: number) => store.setCheckpoints(SCOPE, [at(n, "c"), at(n, "d")]);
    await flush(1);
    const other = await admin.connect();
    await other.query(
      `BEGIN; SELECT FROM ${schema}.kinesis_consumer WHERE shard_id = 'd' FOR UPDATE`,
    );
    await failure(flush(2));
    const outcomes = (await flush(3)).map(({ outcome }) => outcome);
    await other.query("ROLLBACK");
    other.release();
    expect(outcomes).toEqual(["written", "failed"]);
  });

  test("of a tenant end at its own schema", async () => {
    const [own, others] = [await open(inject("postgres")), await open(inject("postgres"))];
    const user = await role(own);
    await grantAsInReadme(own, user);
    const store = await storeOf(others, user);
    const calls = {
      getCheckpoints: () => store.getCheckpoints(SCOPE),
      setCheckpoint: () => store.setCheckpoint(SCOPE, at(1)),
      listLeases: () => store.listLeases(SCOPE),
      listWorkers: () => store.listWorkers(SCOPE),
      joinWorker: () => store.joinWorker(SCOPE, WORKER),
      setup: () => store.setup(),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect(await failure(call()), name).toMatchObject(DENIED);
    }
    expect((await (await storeOf(own, user)).setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
  });

  test("that are taken away from a store that has worked are refused for a minute", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    const user = await role(opened);
    await admin.query(`GRANT USAGE ON SCHEMA ${schema} TO ${user};
      GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${user}`);
    const store = await storeOf(opened, user);
    await store.setCheckpoint(SCOPE, at(1));
    await admin.query(`REVOKE UPDATE ON ${schema}.kinesis_consumer FROM ${user}`);
    const passing = { ...DENIED, retryable: true };
    expect(await failure(store.setCheckpoint(SCOPE, at(2)))).toMatchObject(passing);
    await admin.query(`GRANT UPDATE ON ${schema}.kinesis_consumer TO ${user}`);
    expect((await store.setCheckpoint(SCOPE, at(2))).outcome).toBe("written");
  });
});

test.each([
  "kinesis_consumer",
  "kinesis_consumer_leases",
  "kinesis_consumer_applications",
  "kinesis_consumer_revisions",
])(
  "%s was dropped while the store is open: the error has the script that fixes it",
  async (table) => {
    const { store, admin, schema } = await open(inject("postgres"));
    await store.setCheckpoint(SCOPE, at(1));
    await admin.query(`DROP TABLE ${schema}.${table}`);
    const error = await failure(store.resetCheckpoint(SCOPE, SHARD, at(2).checkpoint));
    expect(error).toMatchObject(SCHEMA);
    await admin.query(scriptOf(error));
    expect((await store.setCheckpoint(SCOPE, at(2))).outcome).toBe("written");
  },
);
