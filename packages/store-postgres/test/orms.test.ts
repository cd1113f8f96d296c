import type { Fence, TransactionalWrite } from "@kc/core";
import {
  BRIEFLY,
  failure,
  MISUSED,
  ORM_SCOPE,
  type Orm,
  ormTransactionTests,
  prismaOrm,
  QUIET,
} from "@kc-internal/test-services/orm-transactions";
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
import { at, open } from "./support/open.ts";

const SCOPE = ORM_SCOPE;

function upTo(n: number, from = 1, fence?: Fence): TransactionalWrite {
  const position = { sequenceNumber: String(from) };
  const write = { shardId: SHARD, from: position, checkpoint: at(n).checkpoint };
  return fence === undefined ? write : { ...write, fence };
}

/** For a handler that sends a query before the last one ended: pg warns of that if ROLLBACK is queued behind it. */
function ignoreDeprecations(): void {
  const before = process.noDeprecation === true;
  process.noDeprecation = true;
  onTestFinished(() => void (process.noDeprecation = before));
}

const raise = (sqlState: string): string =>
  `DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '${sqlState}'; END $$`;

const ORMS: Readonly<Record<string, (pool: pg.Pool, schema: string) => Orm<PostgresExecutor>>> = {
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
    const adapter = new PrismaPg({ connectionString, options, max: 2 });
    return prismaOrm("postgresql", adapter, fromPrisma, raise);
  },
};

describe.each(Object.entries(ORMS))("%s", (name, ormOf) => {
  async function opened() {
    const { store, admin, schema } = await open(inject("postgres"));
    await admin.query(`CREATE TABLE ${schema}.effects (name text)`);
    const { connectionString } = inject("postgres");
    const pool = new pg.Pool({ connectionString, max: 2 });
    // As the libraries do not: what ends a connection between two statements.
    pool.on("connect", (client) => client.on("error", () => undefined));
    onTestFinished(() => pool.end());
    return {
      store,
      orm: ormOf(pool, schema),
      async effects() {
        const { rows } = await admin.query<{ name: string }>(`SELECT name FROM ${schema}.effects`);
        return rows.map((row) => row.name);
      },
      async endConnection(executor: PostgresExecutor) {
        const [row] = await executor.query("SELECT pg_backend_pid() AS pid");
        await admin.query("SELECT pg_terminate_backend($1, 30000)", [Object(row).pid]);
      },
    };
  }

  ormTransactionTests(name, {
    open: opened,
    shardId: SHARD,
    at: (n) => at(n).checkpoint,
    upTo,
    failures: [
      ["40001", true],
      ["40P01", true],
      ["25006", true],
      ["57P01", true],
      ["57P03", true],
      ["53300", true],
      ["25P03", true],
      ["23505", false],
    ],
  });

  test("a transaction is not written to after a statement that failed", async () => {
    const { store, orm, ...world } = await opened();
    let answer: unknown;
    const swallowed = orm.transaction("swallowed", async (executor) => {
      await failure(executor.query("SELECT 1/0"));
      answer = await failure(store.checkpointIn(executor, SCOPE, upTo(3)));
      throw new Error("roll back");
    });
    await failure(swallowed);
    expect(answer).toMatchObject(MISUSED);
    expect(await world.effects()).toEqual([]);
  });

  test("a transaction that is rolled back while the checkpoint is under way has none", async () => {
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
});
