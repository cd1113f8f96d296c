import { inspect } from "node:util";
import { ConfigError } from "@kc/core";
import { createPool as createCallbackPool } from "mysql2";
import { createPool } from "mysql2/promise";
import { describe, expect, it } from "vitest";
import { MysqlStore, type MysqlStoreOptions } from "../src/index.ts";
import { checkOptions } from "../src/options.ts";
import { SERVERS, ownDatabase } from "./support/servers.ts";
import { at, openStore, SCOPE, SHARD, writeOf } from "./support/store.ts";

const connection = "mysql://127.0.0.1/app";

const refused = (options: unknown): ConfigError => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what JavaScript may hand in
  const construct = (): MysqlStore => new MysqlStore(options as MysqlStoreOptions);
  try {
    construct();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the options were taken");
};

describe("an option is refused by its name", () => {
  it.each([
    ["connection", {}],
    ["connection", { connection: undefined }],
    ["connection", { connection: null }],
    ["connection", { connection: "" }],
    ["connection", { connection: "127.0.0.1" }],
    ["connection", { connection: "postgres://127.0.0.1/app" }],
    ["connection", { connection, pool: createPool({}) }],
    ["pool", { pool: {} }],
    ["pool", { pool: null }],
    ["pool", { pool: "pool" }],
    ["tables", { connection, tables: "t" }],
    ["table", { connection, table: "" }],
    ["table", { connection, table: null }],
    ["table", { connection, table: "x".repeat(52) }],
    ["table", { connection, table: "app.checkpoints" }],
    ["table", { connection, table: "checkpoints " }],
    ["table", { connection, table: "check\0points" }],
    ["table", { connection, table: "🦊" }],
    ["table", { connection, table: "\uD800" }],
    ["database", { connection, database: "" }],
    ["database", { connection, database: "x".repeat(65) }],
    ["database", { connection, database: "app " }],
    ["namespace", { connection, namespace: "" }],
    ["namespace", { connection, namespace: 5 }],
    ["namespace", { connection, namespace: "x".repeat(385) }],
    ["namespace", { connection, namespace: "billing " }],
    ["namespace", { connection, namespace: "bill\ning" }],
    ["namespace", { connection, namespace: "\uDC00" }],
    ["timeoutMs", { connection, timeoutMs: 0 }],
    ["timeoutMs", { connection, timeoutMs: 600_001 }],
    ["timeoutMs", { connection, timeoutMs: 1.5 }],
    ["timeoutMs", { connection, timeoutMs: "5000" }],
  ])("%s in %o", (option, options) => {
    expect(refused(options)).toMatchObject({ code: "CONFIG_INVALID", option });
  });

  it.each([
    ["password", "mysqlx://me:secret@127.0.0.1/app"],
    ["ssl", "mysql://me@127.0.0.1/app?ssl=secret"],
    ["ssl that is no JSON", 'mysql://me@127.0.0.1/app?ssl={"key":secret'],
  ])("without a word of the %s", (_what, url) => {
    expect(refused({ connection: url })).toMatchObject({ option: "connection" });
    expect(inspect(refused({ connection: url }))).not.toContain("secret");
  });
});

describe("an option is taken", () => {
  it("with the defaults that the README names", () => {
    expect(checkOptions({ connection })).toStrictEqual({
      source: { connection: { uri: connection } },
      table: "kinesis_consumer",
      database: undefined,
      namespace: undefined,
      timeoutMs: 5000,
      maxTransactions: 10,
      transactionIdleMs: 60_000,
    });
  });

  it("up to its bounds", () => {
    const table = "x".repeat(51);
    const namespace = "🦊".repeat(384);
    const options = { connection, table, namespace, timeoutMs: 600_000, database: "select" };
    expect(checkOptions(options)).toMatchObject({ table, namespace, timeoutMs: 600_000 });
  });

  it("without a connection being opened", async () => {
    const store = new MysqlStore({ connection: "mysql://127.0.0.1:1/nowhere" });
    await store[Symbol.asyncDispose]();
  });
});

describe.each(SERVERS)("on $name", ({ address }) => {
  const NAMES = [
    'kinesis_consumer"; DROP TABLE x; --',
    "`; DROP TABLE x; --",
    "select",
    "Mixed_Case",
    "100% of it",
    "Prüfpunkte",
    "x".repeat(51),
    "with space",
    "0x41",
    "12",
    "a\\",
  ];

  it.each(NAMES)("a table called %s is made, used and touches no other", async (table) => {
    const { options, admin } = await ownDatabase(address);
    await admin.query("CREATE TABLE x (id int)");
    const store = openStore({ connection: options, table });
    await store.setup();
    await store.setCheckpoint(SCOPE, writeOf(at(1)));
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
    const [rows] = await admin.query({ sql: "SHOW TABLES", rowsAsArray: true });
    const companions = ["applications", "leases", "revisions", "workers"];
    const expected = ["x", table, ...companions.map((name) => `${table}_${name}`)];
    expect(Object.values(rows).flat().toSorted()).toStrictEqual(expected.toSorted());
  });

  it("a database is named by an option, quoted", async () => {
    const { options, admin, name } = await ownDatabase(address);
    const other = `${name}-\`other`;
    await admin.query(`CREATE DATABASE \`${other.replaceAll("`", "``")}\``);
    const { database: _, ...server } = options;
    const store = openStore({ connection: server, database: other });
    await store.setup();
    await store.setCheckpoint(SCOPE, writeOf(at(1)));
    const [tables] = await admin.query("SHOW TABLES");
    expect(tables, "none in the other database").toStrictEqual([]);
    await admin.query(`DROP DATABASE \`${other.replaceAll("`", "``")}\``);
  });

  it("two stores with different tables, or namespaces, are apart", async () => {
    const { options } = await ownDatabase(address);
    const stores = [
      openStore({ connection: options }),
      openStore({ connection: options, table: "other" }),
      openStore({ connection: options, namespace: "another" }),
    ];
    for (const [index, store] of stores.entries()) {
      await store.setup();
      await store.setCheckpoint(SCOPE, writeOf(at(10 - index)));
    }
    for (const [index, store] of stores.entries()) {
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(10 - index));
    }
  });

  it("a URL, and a pool with callbacks, do as well", async () => {
    const { options, name } = await ownDatabase(address);
    const store = openStore({ connection: `${address.uri}/${name}` });
    await store.setup();
    await store.setCheckpoint(SCOPE, writeOf(at(1)));
    const pool = createCallbackPool({ ...options, connectionLimit: 1 });
    const other = openStore({ pool });
    expect(await other.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
    await other[Symbol.asyncDispose]();
    const one = await pool.promise().query("SELECT 1 AS one");
    expect(one[0], "it is left open").toStrictEqual([{ one: 1 }]);
    await pool.promise().end();
  });
});
