import type { TransactionalWrite } from "@kc/core";
import { openPrisma } from "@kc-internal/test-services";
import { PrismaMariaDb } from "@prisma/adapter-mariadb";
import { drizzle } from "drizzle-orm/mysql2";
import { mysqlTable, varchar } from "drizzle-orm/mysql-core";
import knexOf from "knex";
import { CamelCasePlugin, Kysely, MysqlDialect } from "kysely";
import { createPool as createCallbackPool } from "mysql2";
import type { PoolOptions, RowDataPacket } from "mysql2/promise";
import { describe, expect, onTestFinished, test } from "vitest";
import { fromDrizzle, fromKnex, fromKysely, fromPrisma, type MysqlExecutor } from "../src/index.ts";
import { ownDatabase, ownPool, SERVERS } from "./support/servers.ts";
import { at, numberAt, openStore, SHARD, UNAVAILABLE } from "./support/store.ts";

/** Signs that libraries may take for parameters of theirs. */
const SCOPE = { application: "bil?ling", streamName: "or?d:ers $1 \\?" } as const;
const MISUSED = { code: "TRANSACTION_MISUSED", retryable: false } as const;

function upTo(n: number, from = 1): TransactionalWrite {
  return { shardId: SHARD, from: { sequenceNumber: numberAt(from) }, checkpoint: at(n) };
}

/** A library's transaction: puts an effect by it, then does what is to be done. */
interface Orm {
  transaction(
    effect: string,
    work: (executor: MysqlExecutor) => Promise<unknown>,
  ): Promise<unknown>;
  /** What the library throws of a statement that fails with this number. */
  failWith(number: number): Promise<unknown>;
  /**
   * Begins a transaction that gets no connection, if the pool has none to spare: at once, or after
   * `BRIEFLY` where the library has a limit of its own.
   */
  beginBriefly(): Promise<unknown>;
  /** A connection that is in no transaction. */
  readonly outside: MysqlExecutor;
}

const BRIEFLY = 50;
/** Prisma's own limits are seconds, which a busy machine may take to connect. */
const PATIENTLY = { maxWait: 30_000, timeout: 30_000 };
/** Knex logs what it throws, too. */
const QUIET = { warn: (): void => undefined };

const raise = (number: number): string => `CALL fail_with(${number})`;
/** Of a stored procedure: SIGNAL stands in no prepared statement. */
const PROCEDURE = `CREATE PROCEDURE fail_with(number int)
  SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = number, MESSAGE_TEXT = 'as asked'`;

const ORMS: Readonly<Record<string, (options: PoolOptions) => Orm>> = {
  drizzle(options) {
    const pool = ownPool({ ...options, connectionLimit: 2 });
    const db = drizzle(pool);
    const effects = mysqlTable("effects", { name: varchar("name", { length: 64 }) });
    return {
      transaction: (name, work) =>
        db.transaction(async (tx) => {
          await tx.insert(effects).values({ name });
          await work(fromDrizzle(tx));
        }),
      failWith: (number) => db.execute(raise(number)),
      beginBriefly() {
        Object(pool.pool).config.waitForConnections = false;
        return db.transaction(() => Promise.resolve());
      },
      outside: fromDrizzle(db),
    };
  },
  kysely(options) {
    const pool = createCallbackPool({ ...options, connectionLimit: 2 });
    const db = new Kysely<{ effects: { name: string } }>({
      dialect: new MysqlDialect({ pool }),
      plugins: [new CamelCasePlugin()],
    });
    onTestFinished(() => db.destroy());
    return {
      transaction: (name, work) =>
        db.transaction().execute(async (trx) => {
          await trx.insertInto("effects").values({ name }).execute();
          await work(fromKysely(trx));
        }),
      failWith: (number) => fromKysely(db).query(raise(number)),
      beginBriefly() {
        Object(pool).config.waitForConnections = false;
        return db.transaction().execute(() => Promise.resolve());
      },
      outside: fromKysely(db),
    };
  },
  knex({ host, port, user, password, database }) {
    const connection = { host, port, user, password, database } as Record<string, unknown>;
    const db = knexOf({ client: "mysql2", connection, pool: { min: 0, max: 2 }, log: QUIET });
    onTestFinished(() => db.destroy());
    return {
      transaction: (name, work) =>
        db.transaction(async (trx) => {
          await trx("effects").insert({ name });
          await work(fromKnex(trx));
        }),
      failWith: (number) => Promise.resolve(db.raw(raise(number))),
      beginBriefly() {
        Object(db.client).pool.acquireTimeoutMillis = BRIEFLY;
        return db.transaction(() => Promise.resolve());
      },
      outside: fromKnex(db),
    };
  },
  prisma({ host, port, user, password, database }) {
    const server = { host, port, user, password, database };
    // The driver's own limit is a second.
    const options = { ...server, connectionLimit: 2, connectTimeout: 10_000 } as object;
    const db = openPrisma("mysql", new PrismaMariaDb(options));
    onTestFinished(() => db.$disconnect());
    return {
      transaction: (name, work) =>
        db.$transaction(async (tx) => {
          await tx.$executeRaw`INSERT INTO effects VALUES (${name})`;
          await work(fromPrisma(tx));
        }, PATIENTLY),
      failWith: (number) => db.$queryRawUnsafe(raise(number)),
      beginBriefly: () => db.$transaction(() => Promise.resolve(), { maxWait: BRIEFLY }),
      outside: fromPrisma(db),
    };
  },
};

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );

describe.each(SERVERS)("on $name", ({ address }) => {
  describe.each(Object.entries(ORMS))("a transaction of %s", (_name, ormOf) => {
    async function opened() {
      const { admin, options } = await ownDatabase(address);
      await admin.query("CREATE TABLE effects (name varchar(64)) ENGINE=InnoDB");
      await admin.query(PROCEDURE);
      const store = openStore({ connection: options });
      await store.setup();
      const effects = async (): Promise<unknown> => {
        const [rows] = await admin.query<RowDataPacket[]>("SELECT name FROM effects");
        return rows.map(({ name }) => String(name));
      };
      return { store, admin, orm: ormOf(options), effects };
    }

    test("has the handler's writes and the checkpoint, or neither", async () => {
      const { store, orm, effects } = await opened();
      const answers: unknown[] = [];
      const checkpoint = async (executor: MysqlExecutor, write: TransactionalWrite) => {
        const answer = await store.checkpointIn(executor, SCOPE, write);
        answers.push(answer);
        if (answer.outcome !== "written") throw new Error("roll back");
      };
      await orm.transaction("first", (executor) => checkpoint(executor, upTo(3)));
      expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3));
      await failure(orm.transaction("twice", (executor) => checkpoint(executor, upTo(5))));
      const failing = orm.transaction("lost", async (executor) => {
        await checkpoint(executor, upTo(9, 4));
        throw new Error("after the checkpoint");
      });
      expect(await failure(failing)).toMatchObject({ message: "after the checkpoint" });
      const stored = at(3);
      expect(answers).toEqual([
        { outcome: "written" },
        { outcome: "already-done", stored },
        { outcome: "written" },
      ]);
      expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(stored);
      expect(await effects()).toEqual(["first"]);
    });

    test("is not written to when its lease is lost, and is to be run again when its connection ends", async () => {
      const { store, admin, orm, effects } = await opened();
      const fence = { owner: "another", epoch: 7 };
      const answers: unknown[] = [];
      const lost = orm.transaction("lost", async (executor) => {
        answers.push(await store.checkpointIn(executor, SCOPE, { ...upTo(3), fence }));
        throw new Error("roll back");
      });
      expect(await failure(lost)).toMatchObject({ message: "roll back" });
      const ending = orm.transaction("ending", async (executor) => {
        const [row] = await executor.query("SELECT CONCAT(CONNECTION_ID()) AS id");
        await admin.query(`KILL ${String(Object(row).id)}`);
        answers.push(await failure(store.checkpointIn(executor, SCOPE, upTo(3))));
        throw new Error("roll back");
      });
      await failure(ending);
      expect(answers).toEqual([{ outcome: "lease-lost" }, expect.objectContaining(UNAVAILABLE)]);
      expect(await effects()).toEqual([]);
    });

    test("that is rolled back while the checkpoint is under way has none", async () => {
      const { store, orm } = await opened();
      await orm.transaction("first", (executor) => store.checkpointIn(executor, SCOPE, upTo(1)));
      let checkpoint: Promise<unknown> | undefined;
      const failing = orm.transaction("one", (executor) =>
        Promise.all([
          executor.query("SELECT sleep(0.1), (SELECT 1 UNION SELECT 2)"),
          (checkpoint = failure(store.checkpointIn(executor, SCOPE, upTo(3, 2)))),
        ]),
      );
      expect(await failure(failing)).toBeInstanceOf(Error);
      expect(await checkpoint).toMatchObject({ name: "StoreError" });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(1));
      // The connection that is left takes writes.
      await orm.transaction("two", (executor) => store.checkpointIn(executor, SCOPE, upTo(3, 2)));
      expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3));
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

    test("is distinguished from a statement alone, and its conflicts from other failures", async () => {
      const { store, orm } = await opened();
      expect(await failure(store.checkpointIn(orm.outside, SCOPE, upTo(3)))).toMatchObject(MISUSED);
      expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
      for (const [number, isPassing] of [
        [1213, true],
        [1205, true],
        [1020, true],
        [1040, true],
        [1062, false],
      ] as const) {
        expect(store.isPassing(await failure(orm.failWith(number))), String(number)).toBe(
          isPassing,
        );
      }
    });
  });
});
