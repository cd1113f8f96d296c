import type { TransactionalWrite } from "@kc/core";
import pg from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { fromClient, PostgresStore, type PostgresStoreOptions } from "../src/index.ts";
import { SCOPE, SHARD } from "./support/leases.ts";
import { at, failure, open, UNAVAILABLE } from "./support/open.ts";
import { eventually } from "./support/poll.ts";

const MISUSED = { name: "StoreError", code: "TRANSACTION_MISUSED", retryable: false } as const;

function upTo(n: number, shardId = SHARD): TransactionalWrite {
  return { shardId, from: { sequenceNumber: "1" }, checkpoint: at(n).checkpoint };
}

/** A store on a pool that was handed in, and a table of effects without a repeat. */
async function opened(
  own: Omit<PostgresStoreOptions, "pool" | "connection" | "schema"> = {},
  max = 3,
) {
  const { admin, schema } = await open(inject("postgres"));
  const { connectionString } = inject("postgres");
  await admin.query(
    `CREATE TABLE ${schema}.effects (name text UNIQUE DEFERRABLE INITIALLY DEFERRED)`,
  );
  const pool = new pg.Pool({ connectionString, max });
  pool.on("error", () => undefined);
  const store = new PostgresStore({ ...own, pool, schema });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    await pool.end();
  });
  const put = (tx: pg.ClientBase, name: string): Promise<unknown> =>
    tx.query(`INSERT INTO ${schema}.effects VALUES ($1)`, [name]);
  const effects = async (): Promise<readonly string[]> => {
    const { rows } = await admin.query<{ name: string }>(`SELECT name FROM ${schema}.effects`);
    return rows.map(({ name }) => name);
  };
  return { store, pool, admin, schema, put, effects };
}

test("a handler that goes on after a failed statement is told so", async () => {
  const { store, put, effects } = await opened();
  const answer = store.transact(SCOPE, upTo(3), async (tx) => {
    await put(tx, "one");
    await tx.query("SELECT 1/0").catch(() => undefined);
  });
  expect(await failure(answer)).toMatchObject({
    ...MISUSED,
    message: expect.stringContaining("SAVEPOINT"),
  });
  expect(await effects()).toEqual([]);
});

test("a failed statement that was rolled back to a savepoint leaves the transaction as good as it was", async () => {
  const { store, put, effects } = await opened();
  const answer = await store.transact(SCOPE, upTo(3), async (tx) => {
    await put(tx, "one");
    await tx.query("SAVEPOINT s");
    await tx.query("SELECT 1/0").catch(() => tx.query("ROLLBACK TO SAVEPOINT s"));
  });
  expect(answer.outcome).toBe("committed");
  expect(await effects()).toEqual(["one"]);
});

test("what the server refuses of the store's own statements is not the handler's error", async () => {
  const { store, admin, schema } = await opened();
  await admin.query(`DROP TABLE ${schema}.kinesis_consumer`);
  expect(await failure(store.transact(SCOPE, upTo(3), () => undefined))).toMatchObject({
    code: "STORE_SCHEMA",
    message: expect.stringContaining("CREATE TABLE"),
  });
});

/** All texts that a pool's clients send, as `change` makes them. */
function sent(pool: pg.Pool, change: (text: string) => string = (text) => text): readonly string[] {
  const texts: string[] = [];
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (text: string, values?: unknown) => unknown;
    client.query = ((text: string, values?: unknown) => {
      texts.push(change(text));
      return query(texts.at(-1)!, values);
    }) as typeof client.query;
  });
  return texts;
}

test("a transaction has two round trips beside its handler's: one to begin, and one for the checkpoint and COMMIT", async () => {
  const { store, pool, schema } = await opened();
  const texts = sent(pool);
  const statement = `INSERT INTO ${schema}.effects VALUES ('one')`;
  await store.transact(SCOPE, upTo(3), (tx) => tx.query(statement));
  expect(texts).toEqual([
    expect.stringMatching(/^BEGIN/),
    statement,
    expect.stringMatching(/kinesis_consumer[^]*COMMIT$/),
  ]);
});

test("a COMMIT that the server answers with ROLLBACK has committed nothing: the transaction is to be run again", async () => {
  const { store, pool, put, effects } = await opened();
  sent(pool, (text) => text.replace(/COMMIT$/, "ROLLBACK"));
  const answer = store.transact(SCOPE, upTo(3), (tx) => put(tx, "one"));
  expect(await failure(answer)).toMatchObject(UNAVAILABLE);
  expect(await effects()).toEqual([]);
});

test("on a server that takes no writes the handler is not called, and what it is refused is no failure of its own", async () => {
  const { store, schema, put, effects } = await opened();
  const answer = store.transact(SCOPE, upTo(3), async (tx) => {
    await tx.query("SET LOCAL transaction_read_only = on");
    await wrapped(put(tx, "one"));
  });
  expect(await failure(answer)).toMatchObject(UNAVAILABLE);
  const { connectionString } = inject("postgres");
  const options = "-c default_transaction_read_only=on";
  const reading = new PostgresStore({ connection: { connectionString, options }, schema });
  onTestFinished(() => reading[Symbol.asyncDispose]());
  let calls = 0;
  expect(await failure(reading.transact(SCOPE, upTo(3), () => void (calls += 1)))).toMatchObject({
    ...UNAVAILABLE,
    message: expect.stringContaining("read-only"),
  });
  expect({ calls, effects: await effects() }).toEqual({ calls: 0, effects: [] });
});

test("a connection that takes no writes by its session's setting is not used again", async () => {
  const { store, pool, put, effects } = await opened();
  const client = await pool.connect();
  await client.query("SET default_transaction_read_only = on");
  client.release();
  const one = () => store.transact(SCOPE, upTo(3), (tx) => put(tx, "one"));
  expect(await failure(one())).toMatchObject(UNAVAILABLE);
  expect(await one()).toMatchObject({ outcome: "committed" });
  expect(await effects()).toEqual(["one"]);
});

test("a handler's own error is its failure, though a statement that it did not await goes on for longer than a call may", async () => {
  const { store, pool } = await opened({ timeoutMs: 1000 });
  // The time of the call is for the call: who connects may take longer.
  (await pool.connect()).release();
  const error = new Error("a record that cannot be handled");
  const answer = store.transact(SCOPE, upTo(3), (tx) => {
    tx.query("SELECT pg_sleep(60)").catch(() => undefined);
    return Promise.reject(error);
  });
  expect(await failure(answer)).toBe(error);
});

/** As Drizzle does with what the driver throws. */
async function wrapped(query: Promise<unknown>): Promise<void> {
  await query.catch((cause: unknown) => {
    throw new Error("Failed query", { cause });
  });
}

test("a conflict that a library has wrapped is run again", async () => {
  const { store } = await opened();
  const conflict = `DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '40001'; END $$`;
  const answer = store.transact(SCOPE, upTo(3), (tx) => wrapped(tx.query(conflict)));
  expect(await failure(answer)).toMatchObject({ ...UNAVAILABLE, shardId: SHARD });
});

test("a connection whose end a library has wrapped is run again", async () => {
  const { store, admin } = await opened();
  const answer = store.transact(SCOPE, upTo(3), async (tx) => {
    const { rows } = await tx.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const ending = admin.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
    await Promise.all([wrapped(tx.query("SELECT pg_sleep(60)")), ending]);
  });
  expect(await failure(answer)).toMatchObject({ ...UNAVAILABLE, shardId: SHARD });
});

test("a handler that leaves its transaction idle loses it: it is to be run again", async () => {
  const { store, admin, schema, put, effects } = await opened({ transactionIdleMs: 1000 });
  const answer = store.transact(SCOPE, upTo(3), async (tx) => {
    await put(tx, "one");
    await eventually(
      "the end of the session",
      async () => {
        const { rows } = await admin.query<{ count: string }>(
          "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE $1",
          [`%${schema}%`],
        );
        return Number(rows[0]!.count);
      },
      (count) => count === 0,
    );
    await put(tx, "two");
  });
  expect(await failure(answer)).toMatchObject(UNAVAILABLE);
  expect(await effects()).toEqual([]);
});

test("nothing of a transaction stays in its session", async () => {
  const { store, pool } = await opened();
  const settings = async (): Promise<unknown> => {
    const { rows } = await pool.query(
      `SELECT name, setting FROM pg_settings WHERE name LIKE '%timeout%' ORDER BY name`,
    );
    return rows;
  };
  const before = await settings();
  await store.transact(SCOPE, upTo(3), () => undefined);
  await failure(
    store.transact(SCOPE, { ...upTo(9), from: { sequenceNumber: "5" } }, () =>
      Promise.reject(new Error()),
    ),
  );
  expect(pool.totalCount).toBe(1);
  expect(await settings()).toEqual(before);
});

test("a handler that sets another search_path writes by it, and the checkpoint stays in the store's tables", async () => {
  const { admin, schema } = await opened();
  const tenant = `${schema}_tenant`;
  await admin.query(`CREATE SCHEMA ${tenant}`);
  onTestFinished(async () => void (await admin.query(`DROP SCHEMA ${tenant} CASCADE`)));
  // It has tables of these names, too, and what a deferred trigger writes to.
  await new PostgresStore({ pool: admin, schema: tenant }).setup();
  await admin.query(`
    CREATE TABLE ${tenant}.effects (name text);
    CREATE TABLE ${tenant}.counted (name text);
    CREATE FUNCTION ${tenant}.count() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN INSERT INTO counted VALUES (new.name); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER counting AFTER INSERT ON ${tenant}.effects
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${tenant}.count()`);
  const { connectionString } = inject("postgres");
  const options = `-c search_path=${schema}`;
  const store = new PostgresStore({ connection: { connectionString, options } });
  onTestFinished(() => store[Symbol.asyncDispose]());
  for (const [n, name] of [tenant, "pg_catalog"].entries()) {
    const write = { ...upTo(n), from: { sequenceNumber: String(n) } };
    const { outcome } = await store.transact(SCOPE, write, async (tx) => {
      await tx.query(`SET LOCAL search_path TO ${name}`);
      if (name === tenant) await tx.query("INSERT INTO effects VALUES ('one')");
    });
    expect(outcome).toBe("committed");
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(write.checkpoint);
  }
  const rowsOf = async (table: string): Promise<unknown> =>
    (await admin.query(`SELECT * FROM ${tenant}.${table}`)).rows;
  expect(await rowsOf("kinesis_consumer")).toEqual([]);
  expect(await rowsOf("counted")).toEqual([{ name: "one" }]);
});

test("checkpoint() under a role without rights on the store's tables is refused with what to do", async () => {
  const { store, pool } = await opened();
  const client = await pool.connect();
  await client.query("BEGIN; SET LOCAL ROLE pg_monitor");
  const answer = await failure(store.checkpointIn(fromClient(client), SCOPE, upTo(3)));
  await client.query("ROLLBACK");
  client.release();
  const message: unknown = expect.stringContaining("RESET ROLE");
  expect(answer).toMatchObject({ code: "STORE_ACCESS_DENIED", message });
});

test("checkpoint() after a statement that failed is refused, whatever the library has wrapped", async () => {
  const { store, pool } = await opened();
  const client = await pool.connect();
  await client.query("BEGIN");
  await failure(client.query("SELECT 1/0"));
  const wrapping = {
    query: (text: string) =>
      client.query(text).catch((cause: unknown) => {
        throw new Error("wrapped", { cause });
      }),
  };
  const answer = await failure(store.checkpointIn(fromClient(wrapping), SCOPE, upTo(3)));
  await client.query("ROLLBACK");
  client.release();
  expect(answer).toMatchObject({ ...MISUSED, message: expect.stringContaining("SAVEPOINT") });
});
