import pg from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore, type PostgresPool } from "../src/index.ts";
import { SCOPE, SHARD, storedNumber } from "./support/leases.ts";
import { at, CLOSED, DENIED, failure, open, role, SCHEMA, UNAVAILABLE } from "./support/open.ts";
import { eventually } from "./support/poll.ts";

test("a pool whose connections are all in use: passing, and the one that comes late goes back", async () => {
  const { store, pool } = await open(inject("postgres"), { timeoutMs: 1000 });
  // Its owner lets callers wait for ever.
  pool.options.connectionTimeoutMillis = 0;
  const taken = await pool.connect();
  expect(await failure(store.setCheckpoint(SCOPE, at(1)))).toMatchObject(UNAVAILABLE);
  taken.release();
  await eventually(
    "the idle connection",
    () => [pool.idleCount, pool.waitingCount],
    ([idle, waiting]) => idle === 1 && waiting === 0,
  );
  expect((await store.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
});

test("a pool that its owner ended is distinguished from an outage", async () => {
  const { store, pool } = await open(inject("postgres"));
  await store.getCheckpoints(SCOPE);
  await pool.end();
  expect(await failure(store.getCheckpoints(SCOPE))).toMatchObject(CLOSED);
});

test("a pool that parses values in its own way: exact still", async () => {
  const { schema } = await open(inject("postgres"));
  const pool = new pg.Pool({
    connectionString: inject("postgres").connectionString,
    types: { getTypeParser: (id: number) => (id === 25 ? String : Number.parseFloat) },
  });
  onTestFinished(() => pool.end());
  const store = new PostgresStore({ pool, schema });
  const sequenceNumber = "49590338271490256608559692538361571095921575989136588898";
  const checkpoint = { kind: "position", sequenceNumber, subSequenceNumber: 3 } as const;
  await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(checkpoint);
});

test.each(["BEGIN", "BEGIN; SELECT 1", "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1"])(
  "a connection that came with `%s` acknowledges nothing, and is closed",
  async (left) => {
    const { store, pool, admin, schema } = await open(inject("postgres"));
    const client = await pool.connect();
    await client.query(left);
    client.release();
    expect(await failure(store.setCheckpoint(SCOPE, at(1)))).toMatchObject(UNAVAILABLE);
    expect(await storedNumber(admin, schema, SHARD)).toBeUndefined();
    expect((await store.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
    expect(await storedNumber(admin, schema, SHARD)).toBe("1");
  },
);

test("nothing of a call stays in its session", async () => {
  const { store, pool } = await open(inject("postgres"));
  const settings = async (): Promise<unknown> => {
    const { rows } = await pool.query(`SELECT current_setting('lock_timeout') AS lock,
      current_setting('statement_timeout') AS statement,
      (SELECT count(*) FROM pg_prepared_statements) AS prepared`);
    return rows[0];
  };
  const before = await settings();
  await store.setup();
  await store.setCheckpoint(SCOPE, at(1));
  await store.getCheckpoints(SCOPE);
  await store.resetCheckpoint(SCOPE, SHARD, undefined);
  expect(await settings()).toEqual(before);
  const { rows } = await pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory'");
  expect(rows).toEqual([]);
});

test("a call is one message to the server", async () => {
  const { pool, schema } = await open(inject("postgres"));
  let messages = 0;
  const counting: PostgresPool = {
    connect: async () => {
      const client = await pool.connect();
      return {
        query: (text) => ((messages += 1), client.query(text)),
        escapeLiteral: (value) => client.escapeLiteral(value),
        on: (event, listener) => client.on(event, listener),
        removeListener: (event, listener) => client.removeListener(event, listener),
        release: (destroy) => client.release(destroy),
      };
    },
  };
  const store = new PostgresStore({ pool: counting, schema });
  await store.setCheckpoints(SCOPE, [at(1), at(1, "b"), at(1, "c")]);
  await store.setCheckpoints(SCOPE, [at(1), at(0, "b"), at(2, "c")]);
  await store.getCheckpoints(SCOPE);
  await store.resetCheckpoint(SCOPE, SHARD, undefined);
  expect(messages).toBe(4);
});

test("a user or a database that is not there: lasting; no connection left for it: passing", async () => {
  const server = inject("postgres");
  const opened = await open(server);
  const { host, port, user, password, database } = server;
  const crowded = await role(opened, "CONNECTION LIMIT 0");
  const cases = [
    [{ user: "nobody_at_all" }, DENIED],
    [{ database: "no_such_database" }, SCHEMA],
    [{ user: crowded }, { ...UNAVAILABLE, message: expect.stringContaining("53300") }],
    [{ port: 9 }, { ...UNAVAILABLE, message: expect.stringContaining("ECONNREFUSED") }],
    [{ host: "host.invalid" }, UNAVAILABLE],
  ] as const;
  for (const [own, expected] of cases) {
    const connection = { host, port, user, password, database, ...own };
    await using store = new PostgresStore({ connection, schema: opened.schema });
    expect(await failure(store.getCheckpoints(SCOPE)), JSON.stringify(own)).toMatchObject(expected);
  }
});
