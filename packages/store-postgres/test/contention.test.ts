import { KcError } from "@kc/core";
import type { PoolClient } from "pg";
import pg from "pg";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { SCOPE, SHARD } from "./support/leases.ts";
import {
  at,
  CLOSED,
  failure,
  open,
  recovers,
  role,
  UNAVAILABLE,
  untilWaiting,
  WaitingClient,
  type Opened,
} from "./support/open.ts";
import { eventually } from "./support/poll.ts";

/** Another's transaction that holds a lock; `ROLLBACK` gives it back. */
async function lock({ admin }: Opened, sql: string): Promise<PoolClient> {
  const locker = await admin.connect();
  onTestFinished(async () => {
    await locker.query("ROLLBACK");
    locker.release();
  });
  await locker.query(`BEGIN; ${sql}`);
  return locker;
}

describe("a lock that somebody else holds", () => {
  test.each([
    ["on a row", (schema: string) => `UPDATE ${schema}.kinesis_consumer SET kc_at = kc_at`],
    ["on a lease", (schema: string) => `UPDATE ${schema}.kinesis_consumer_leases SET epoch = 9`],
    ["on the table", (schema: string) => `LOCK TABLE ${schema}.kinesis_consumer`],
  ])("%s is waited for less than a second, then the write fails in passing", async (_, sql) => {
    const opened = await open(inject("postgres"));
    const { store, pool, schema } = opened;
    await store.setCheckpoint(SCOPE, at(1));
    const locker = await lock(opened, sql(schema));
    const error = await failure(store.setCheckpoint(SCOPE, at(2)));
    expect(error).toMatchObject({ ...UNAVAILABLE, message: expect.stringContaining("55P03") });
    await untilWaiting(opened, 0);
    await locker.query("ROLLBACK");
    expect((await store.setCheckpoint(SCOPE, at(2))).outcome).toBe("written");
    expect(pool.totalCount, "the connection is as good as before").toBe(1);
  });

  test.each([
    ["leases", "kinesis_consumer_leases"],
    ["checkpoints", "kinesis_consumer"],
  ])("rows of %s are locked in one order, whatever the order of the call", async (_, table) => {
    const opened = await open(inject("postgres"), { Client: WaitingClient, timeoutMs: 60_000 });
    const { store, admin, schema } = opened;
    const shardIds = ["d", "b", "a", "c"];
    const flush = (n: number): Promise<unknown> =>
      store.setCheckpoints(
        SCOPE,
        shardIds.map((shardId) => at(n, shardId)),
      );
    await flush(1);
    const row = `SELECT FROM ${schema}.${table} WHERE shard_id`;
    const locker = await lock(opened, `${row} = 'a' FOR UPDATE`);
    const call = flush(2);
    await untilWaiting(opened, 1);
    // It waits for the first, and so has none of the others.
    const { rowCount } = await admin.query(`${row} > 'a' FOR UPDATE SKIP LOCKED`);
    expect(rowCount).toBe(3);
    await locker.query("ROLLBACK");
    await call;
  });

  test("on a row that is not committed yet holds up its own shard alone", async () => {
    const opened = await open(inject("postgres"));
    const { store, schema } = opened;
    const flush = (n: number) =>
      store.setCheckpoints(
        SCOPE,
        ["a", "b", "c"].map((shardId) => at(n, shardId)),
      );
    const namespace = `${SCOPE.application}-${SCOPE.streamName}`;
    await store.setCheckpoints(SCOPE, [at(1, "a"), at(1, "c")]);
    const locker = await lock(
      opened,
      `INSERT INTO ${schema}.kinesis_consumer (namespace, shard_id, sequence_number)
        VALUES ('${namespace}', 'b', 1)`,
    );
    expect(await failure(flush(2))).toMatchObject(UNAVAILABLE);
    expect(await flush(2)).toMatchObject([
      { outcome: "written" },
      { outcome: "failed", error: { ...UNAVAILABLE, shardId: "b" } },
      { outcome: "written" },
    ]);
    await locker.query("COMMIT");
    expect(await flush(3)).toMatchObject([1, 2, 3].map(() => ({ outcome: "written" })));
  });

  test("on one row holds up no other shard, however short a call may take", async () => {
    const opened = await open(inject("postgres"), { timeoutMs: 800 });
    const { store, schema } = opened;
    const flush = (n: number) => store.setCheckpoints(SCOPE, [at(n, "a"), at(n, "b")]);
    await eventually(
      "the rows",
      () => failure(flush(1)),
      (answer) => !KcError.is(answer),
    );
    await lock(opened, `SELECT FROM ${schema}.kinesis_consumer WHERE shard_id = 'a' FOR UPDATE`);
    await eventually(
      "a write of the other shard",
      () => flush(2).catch(() => []),
      ([, other]) => other?.outcome === "written" || other?.outcome === "same",
    );
  });

  test("an aborted call ends at once with its reason, and a pool of one still works", async () => {
    const opened = await open(inject("postgres"), { Client: WaitingClient, timeoutMs: 60_000 });
    const { store, pool, schema } = opened;
    await store.setCheckpoint(SCOPE, at(1));
    const locker = await lock(opened, `LOCK TABLE ${schema}.kinesis_consumer`);
    const controller = new AbortController();
    const call = failure(store.setCheckpoint(SCOPE, at(2), { signal: controller.signal }));
    await untilWaiting(opened, 1);
    const reason = new Error("no more patience");
    controller.abort(reason);
    expect(await call).toBe(reason);
    await locker.query("ROLLBACK");
    await recovers(store, 3);
    expect(pool.totalCount).toBe(1);
  });

  test("a call that timed out does not continue in the server", async () => {
    const { store, admin, schema } = await open(inject("postgres"), { timeoutMs: 300 });
    await admin.query(
      `CREATE FUNCTION ${schema}.crawl() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         PERFORM pg_sleep(600);
         RETURN NEW;
       END $$;
       CREATE TRIGGER crawl BEFORE INSERT ON ${schema}.kinesis_consumer
         FOR EACH ROW EXECUTE FUNCTION ${schema}.crawl()`,
    );
    expect(await failure(store.setCheckpoint(SCOPE, at(1)))).toMatchObject(UNAVAILABLE);
    await eventually(
      "sessions that continue",
      async () => {
        const { rows } = await admin.query(
          `SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1
             AND pid <> pg_backend_pid()`,
          [`%"${schema}"%`],
        );
        return rows.length;
      },
      (count) => count === 0,
    );
  });

  test("a dispose ends the call with STORE_CLOSED, and the store's own pool", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    const store = new PostgresStore({
      connection: {
        connectionString: inject("postgres").connectionString,
        application_name: `own-${schema}`,
        Client: WaitingClient,
      },
      schema,
      timeoutMs: 60_000,
    });
    const sessions = async (): Promise<number> => {
      const { rowCount } = await admin.query(
        "SELECT FROM pg_stat_activity WHERE application_name = $1",
        [`own-${schema}`],
      );
      return rowCount ?? 0;
    };
    const locker = await lock(opened, `LOCK TABLE ${schema}.kinesis_consumer`);
    const call = failure(store.setCheckpoint(SCOPE, at(2)));
    await untilWaiting(opened, 1);
    expect(await sessions()).toBe(1);
    await store[Symbol.asyncDispose]();
    expect(await call).toMatchObject(CLOSED);
    await locker.query("ROLLBACK");
    await eventually("the end of its sessions", sessions, (count) => count === 0);
  });
});

describe("another transaction", () => {
  /** Fails the first `times` writes as Postgres would: a sequence counts on after a rollback. */
  const failWrites = ({ admin, schema }: Opened, state: string, times: number): Promise<unknown> =>
    admin.query(
      `CREATE SEQUENCE ${schema}.failures;
       CREATE FUNCTION ${schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF nextval('${schema}.failures') <= ${times} THEN
           RAISE EXCEPTION 'planted' USING ERRCODE = '${state}';
         END IF;
         RETURN NEW;
       END $$;
       CREATE TRIGGER fail BEFORE INSERT ON ${schema}.kinesis_consumer
         FOR EACH ROW EXECUTE FUNCTION ${schema}.fail()`,
    );

  test.each(["40001", "40P01"])(
    "that wins with %s is met by another try, inside",
    async (state) => {
      const opened = await open(inject("postgres"));
      const { store, pool } = opened;
      await failWrites(opened, state, 3);
      let connections = 0;
      pool.on("connect", () => (connections += 1));
      expect((await store.setCheckpoint(SCOPE, at(1))).outcome).toBe("written");
      expect(connections, "on the same connection").toBe(1);
    },
  );

  test("that wins again and again makes it fail in passing", async () => {
    const opened = await open(inject("postgres"));
    await failWrites(opened, "40P01", 1000);
    expect(await failure(opened.store.setCheckpoint(SCOPE, at(1)))).toMatchObject(UNAVAILABLE);
    const { rows } = await opened.admin.query(
      `SELECT last_value::int AS tries FROM ${opened.schema}.failures`,
    );
    expect(rows).toEqual([{ tries: 5 }]);
  });

  test("under a user whose transactions are serializable: calls are READ COMMITTED still", async () => {
    const opened = await open(inject("postgres"));
    const { admin, schema } = opened;
    const user = await role(opened, "SUPERUSER");
    await admin.query(`ALTER ROLE ${user} SET default_transaction_isolation = 'serializable'`);
    await admin.query(
      `CREATE FUNCTION ${schema}.check() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF current_setting('transaction_isolation') <> 'read committed' THEN
           RAISE EXCEPTION 'it is %', current_setting('transaction_isolation');
         END IF;
         RETURN NEW;
       END $$;
       CREATE TRIGGER check_isolation BEFORE INSERT ON ${schema}.kinesis_consumer
         FOR EACH ROW EXECUTE FUNCTION ${schema}.check()`,
    );
    const { host, port, password, database } = inject("postgres");
    const pool = new pg.Pool({ host, port, database, user, password, max: 8 });
    onTestFinished(() => pool.end());
    const store = new PostgresStore({ pool, schema });
    const writes = Array.from({ length: 100 }, (_, n) => store.setCheckpoint(SCOPE, at(n)));
    await Promise.all(writes);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(99).checkpoint);
  });
});
