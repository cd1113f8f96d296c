import { ConfigError } from "@kc/core";
import pg from "pg";
import { describe, expect, inject, it } from "vitest";
import { PostgresStore } from "../src/index.ts";

/** Called as from JavaScript, where no compiler looks on. */
function construct(options: object): unknown {
  try {
    return Reflect.construct(PostgresStore, [options]);
  } catch (error) {
    return error;
  }
}

describe("new PostgresStore", () => {
  const pool = new pg.Pool();
  it.each([
    ["connection", {}, "give a pool"],
    ["connection", { connection: "" }, "give a pool"],
    ["connection", { connection: 5 }, "give a pool"],
    ["connection", { connection: null }, "give a pool"],
    ["connection", { pool, connection: "postgres://" }, "not both"],
    ["pool", { pool: {} }, "pool of pg"],
    ["pool", { pool: null }, "pool of pg"],
    ["client", { client: {} }, "pool, connection, table"],
    ["table", { pool, table: "" }, "must be a name"],
    ["table", { pool, table: 7 }, "must be a name"],
    ["table", { pool, table: "a".repeat(51) }, "at most 50 bytes"],
    ["table", { pool, table: "ä".repeat(26) }, "at most 50 bytes"],
    ["table", { pool, table: "1st" }, "a letter"],
    ["table", { pool, table: "kinesis.checkpoints" }, 'the option "schema"'],
    ["table", { pool, table: '"quoted"' }, "without quotes"],
    ["table", { pool, table: 'kinesis_consumer"; DROP TABLE x; --' }, "without quotes"],
    ["table", { pool, table: "a b" }, "must be a name"],
    ["table", { pool, table: "a\0b" }, "must be a name"],
    ["schema", { pool, schema: "" }, "must be a name"],
    ["schema", { pool, schema: "a.b" }, "one name"],
    ["schema", { pool, schema: "a".repeat(64) }, "at most 63 bytes"],
    ["namespace", { pool, namespace: "" }, "1 to 255"],
    ["namespace", { pool, namespace: "a\nb" }, "no control character"],
    ["namespace", { pool, namespace: "a".repeat(256) }, "1 to 255"],
    ["namespace", { pool, namespace: 5 }, "1 to 255"],
    ["timeout", { pool, timeout: 5 }, "timeoutMs"],
    ["timeoutMs", { pool, timeoutMs: 99 }, "100 to 600000"],
    ["timeoutMs", { pool, timeoutMs: 600_001 }, "100 to 600000"],
    ["timeoutMs", { pool, timeoutMs: 500.5 }, "100 to 600000"],
    ["timeoutMs", { pool, timeoutMs: "500" }, "100 to 600000"],
    ["listenConnection", { pool, listenConnection: "" }, "a connection string"],
    ["listenConnection", { pool, listenConnection: true }, "a connection string"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
  });

  it("connects at the first call, not before", async () => {
    let connects = 0;
    const store = new PostgresStore({
      pool: { connect: () => ((connects += 1), Promise.reject(new Error("no"))) },
    });
    expect(connects).toBe(0);
    await store.setup().catch(() => undefined);
    expect(connects).toBe(1);
  });

  it("takes a connection string, and pg's own options", async () => {
    const { connectionString, host, port, user, password, database } = inject("postgres");
    for (const connection of [connectionString, { host, port, user, password, database }]) {
      await using store = new PostgresStore({ connection, table: "never_made" });
      const error = await store
        .getCheckpoints({ application: "a", streamName: "b" })
        .catch((reason: unknown) => reason);
      expect(error, "it got as far as the table").toMatchObject({ code: "STORE_SCHEMA" });
    }
  });
});
