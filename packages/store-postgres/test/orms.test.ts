import { type TransactionalWrite } from "@kc/core";
import { openPrisma } from "@kc-internal/test-services";
import { PrismaPg } from "@prisma/adapter-pg";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { pgTable, text } from "drizzle-orm/pg-core";
import knexOf from "knex";
import { CamelCasePlugin, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import {
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromPrisma,
  type PostgresExecutor,
} from "../src/index.ts";
import { SHARD } from "./support/leases.ts";
import { at, failure, open, UNAVAILABLE } from "./support/open.ts";

/** Signs that ORMs may take for parameters of theirs. */
const SCOPE = { application: "bil?ling", streamName: "or?d:ers $1 \\?" } as const;
const MISUSED = { code: "TRANSACTION_MISUSED", retryable: false } as const;

function upTo(n: number, from = 1): TransactionalWrite {
  const position = { sequenceNumber: String(from) };
  return { shardId: SHARD, from: position, checkpoint: at(n).checkpoint };
}

/** A library's transaction: puts an effect by it, then does what is to be done. */
interface Orm {
  transaction(
    effect: string,
    work: (executor: PostgresExecutor) => Promise<unknown>,
  ): Promise<unknown>;
  /** What the library throws of a statement that fails with this SQLSTATE. */
  failWith(sqlState: string): Promise<unknown>;
  /** Begins a transaction that waits for a connection of the pool no longer than `BRIEFLY`. */
  beginBriefly(): Promise<unknown>;
  /** A connection that is in no transaction. */
  readonly outside: PostgresExecutor;
}

const BRIEFLY = 50;
/** Prisma's own limits are seconds, which a busy machine may take to connect. */
const PATIENTLY = { maxWait: 30_000, timeout: 30_000 };

/** For a handler that sends a query before the last one ended: pg warns of that if ROLLBACK is queued behind it. */
function ignoreDeprecations(): void {
  const before = process.noDeprecation === true;
  process.noDeprecation = true;
  onTestFinished(() => void (process.noDeprecation = before));
}

/** Knex logs what it throws, too. */
const QUIET = { warn: (): void => undefined };

const raise = (sqlState: string): string =>
  `DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '${sqlState}'; END $$`;

const ORMS: Readonly<Record<string, (pool: pg.Pool, schema: string) => Orm>> = {
  drizzle(pool, schema) {
    const db = drizzle(pool);
    const effects = pgTable("effects", { name: text("name") });
    return {
      transaction: (name, work) =>
        db.transaction(async (tx) => {
          await tx.execute(drizzleSql.raw(`SET LOCAL search_path TO ${schema}`));
          await tx.insert(effects).values({ name });
          await work(fromDrizzle(tx));
        }),
      failWith: (sqlState) => db.execute(raise(sqlState)),
      beginBriefly() {
        pool.options.connectionTimeoutMillis = BRIEFLY;
        return db.transaction(() => Promise.resolve());
      },
      outside: fromDrizzle(db),
    };
  },
  kysely(pool, schema) {
    const db = new Kysely<{ effects: { name: string } }>({
      dialect: new PostgresDialect({ pool }),
      plugins: [new CamelCasePlugin()],
    });
    return {
      transaction: (name, work) =>
        db.transaction().execute(async (trx) => {
          await trx.withSchema(schema).insertInto("effects").values({ name }).execute();
          await work(fromKysely(trx));
        }),
      failWith: (sqlState) => fromKysely(db).query(raise(sqlState)),
      beginBriefly() {
        pool.options.connectionTimeoutMillis = BRIEFLY;
        return db.transaction().execute(() => Promise.resolve());
      },
      outside: fromKysely(db),
    };
  },
  knex(pool, schema) {
    const { connectionString } = pool.options;
    const db = knexOf({
      client: "pg",
      connection: connectionString!,
      pool: { min: 0, max: 2 },
      log: QUIET,
    });
    onTestFinished(() => db.destroy());
    return {
      transaction: (name, work) =>
        db.transaction(async (trx) => {
          await trx("effects").withSchema(schema).insert({ name });
          await work(fromKnex(trx));
        }),
      failWith: (sqlState) => Promise.resolve(db.raw(raise(sqlState))),
      beginBriefly() {
        Object(db.client).pool.acquireTimeoutMillis = BRIEFLY;
        return db.transaction(() => Promise.resolve());
      },
      outside: fromKnex(db),
    };
  },
  prisma(pool, schema) {
    const { connectionString } = pool.options;
    const options = `-c search_path=${schema}`;
    const db = openPrisma("postgresql", new PrismaPg({ connectionString, options, max: 2 }));
    onTestFinished(() => db.$disconnect());
    return {
      transaction: (name, work) =>
        db.$transaction(async (tx) => {
          await tx.$executeRaw`INSERT INTO effects VALUES (${name})`;
          await work(fromPrisma(tx));
        }, PATIENTLY),
      failWith: (sqlState) => db.$queryRawUnsafe(raise(sqlState)),
      beginBriefly: () => db.$transaction(() => Promise.resolve(), { maxWait: BRIEFLY }),
      outside: fromPrisma(db),
    };
  },
};

describe.each(Object.entries(ORMS))("a transaction of %s", (_name, ormOf) => {
  async function opened() {
    const { store, admin, schema } = await open(inject("postgres"));
    await admin.query(`CREATE TABLE ${schema}.effects (name text)`);
    const { connectionString } = inject("postgres");
    const pool = new pg.Pool({ connectionString, max: 2 });
    // As the libraries do not: what ends a connection between two statements.
    pool.on("connect", (client) => client.on("error", () => undefined));
    onTestFinished(() => pool.end());
    const effects = async (): Promise<unknown> =>
      (await admin.query<{ name: string }>(`SELECT name FROM ${schema}.effects`)).rows.map(
        ({ name }) => name,
      );
    return { store, admin, orm: ormOf(pool, schema), effects };
  }

  test("has the handler's writes and the checkpoint, or neither", async () => {
    const { store, orm, effects } = await opened();
    const answers: unknown[] = [];
    const checkpoint = async (executor: PostgresExecutor, write: TransactionalWrite) => {
      const answer = await store.checkpointIn(executor, SCOPE, write);
      answers.push(answer);
      if (answer.outcome !== "written") throw new Error("roll back");
    };
    await orm.transaction("first", (executor) => checkpoint(executor, upTo(3)));
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3).checkpoint);
    await failure(orm.transaction("twice", (executor) => checkpoint(executor, upTo(5))));
    const failing = orm.transaction("lost", async (executor) => {
      await checkpoint(executor, upTo(9, 4));
      throw new Error("after the checkpoint");
    });
    expect(await failure(failing)).toMatchObject({ message: "after the checkpoint" });
    const stored = at(3).checkpoint;
    expect(answers).toEqual([
      { outcome: "written" },
      { outcome: "already-done", stored },
      { outcome: "written" },
    ]);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(stored);
    expect(await effects()).toEqual(["first"]);
  });

  test("is not written to when its lease is lost, or after a statement that failed", async () => {
    const { store, orm, effects } = await opened();
    const fence = { owner: "another", epoch: 7 };
    const answers: unknown[] = [];
    const lost = orm.transaction("lost", async (executor) => {
      answers.push(await store.checkpointIn(executor, SCOPE, { ...upTo(3), fence }));
      throw new Error("roll back");
    });
    expect(await failure(lost)).toMatchObject({ message: "roll back" });
    const swallowed = orm.transaction("swallowed", async (executor) => {
      await failure(executor.query("SELECT 1/0"));
      answers.push(await failure(store.checkpointIn(executor, SCOPE, upTo(3))));
      throw new Error("roll back");
    });
    await failure(swallowed);
    expect(answers).toEqual([{ outcome: "lease-lost" }, expect.objectContaining(MISUSED)]);
    expect(await effects()).toEqual([]);
  });

  test("whose connection ends before the checkpoint is to be run again", async () => {
    const { store, admin, orm, effects } = await opened();
    let answer: unknown;
    const ending = orm.transaction("one", async (executor) => {
      const [row] = await executor.query("SELECT pg_backend_pid() AS pid");
      await admin.query("SELECT pg_terminate_backend($1, 30000)", [Object(row).pid]);
      answer = await failure(store.checkpointIn(executor, SCOPE, upTo(3)));
      throw answer;
    });
    await failure(ending);
    expect(answer).toMatchObject(UNAVAILABLE);
    expect(await effects()).toEqual([]);
  });

  test("that is rolled back while the checkpoint is under way has none", async () => {
    const { store, orm } = await opened();
    ignoreDeprecations();
    let checkpoint: Promise<unknown> | undefined;
    const failing = orm.transaction("one", (executor) =>
      Promise.all([
        executor.query("SELECT nonsense"),
        (checkpoint = failure(store.checkpointIn(executor, SCOPE, upTo(3)))),
      ]),
    );
    expect(await failure(failing)).toBeInstanceOf(Error);
    expect(await checkpoint).toMatchObject({ name: "StoreError" });
    expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
  });

  test("that gets no connection of its library's pool is to be run again", async () => {
    const { store, orm } = await opened();
    let answer: unknown;
    await orm.transaction("one", () =>
      orm.transaction("two", async () => void (answer = await failure(orm.beginBriefly()))),
    );
    expect(answer).toBeInstanceOf(Error);
    expect(store.isPassing(answer), String(answer)).toBe(true);
  });

  test("is distinguished from a statement alone", async () => {
    const { store, orm } = await opened();
    expect(await failure(store.checkpointIn(orm.outside, SCOPE, upTo(3)))).toMatchObject(MISUSED);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
  });

  test.each([
    ["40001", true],
    ["40P01", true],
    ["25006", true],
    ["57P01", true],
    ["57P03", true],
    ["53300", true],
    ["25P03", true],
    ["23505", false],
  ])("that failed with %s: run again %s", async (sqlState, isPassing) => {
    const { store, orm } = await opened();
    expect(store.isPassing(await failure(orm.failWith(sqlState)))).toBe(isPassing);
  });
});
