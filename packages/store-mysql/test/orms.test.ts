import type { Fence, TransactionalWrite } from "@kc/core";
import {
  BRIEFLY,
  failure,
  ORM_SCOPE,
  type Orm,
  ormTransactionTests,
  prismaOrm,
  QUIET,
} from "@kc-internal/test-services/orm-transactions";
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
import { at, numberAt, openStore, SHARD } from "./support/store.ts";

const SCOPE = ORM_SCOPE;

function upTo(n: number, from = 1, fence?: Fence): TransactionalWrite {
  const position = { sequenceNumber: numberAt(from) };
  const write = { shardId: SHARD, from: position, checkpoint: at(n) };
  return fence === undefined ? write : { ...write, fence };
}

const raise = (number: string): string => `CALL fail_with(${number})`;
/** Of a stored procedure: SIGNAL stands in no prepared statement. */
const PROCEDURE = `CREATE PROCEDURE fail_with(number int)
  SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = number, MESSAGE_TEXT = 'as asked'`;

const ORMS: Readonly<Record<string, (options: PoolOptions) => Orm<MysqlExecutor>>> = {
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
      failWith: (code) => db.execute(raise(code)),
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
      failWith: (code) => fromKysely(db).query(raise(code)),
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
      failWith: (code) => Promise.resolve(db.raw(raise(code))),
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
    return prismaOrm("mysql", new PrismaMariaDb(options), fromPrisma, raise);
  },
};

describe.each(SERVERS)("on $name", ({ address }) => {
  describe.each(Object.entries(ORMS))("%s", (name, ormOf) => {
    async function opened() {
      const { admin, options } = await ownDatabase(address);
      await admin.query("CREATE TABLE effects (name varchar(64)) ENGINE=InnoDB");
      await admin.query(PROCEDURE);
      const store = openStore({ connection: options });
      await store.setup();
      return {
        store,
        orm: ormOf(options),
        async effects() {
          const [rows] = await admin.query<RowDataPacket[]>("SELECT name FROM effects");
          return rows.map((row) => String(row["name"]));
        },
        async endConnection(executor: MysqlExecutor) {
          const [row] = await executor.query("SELECT CONCAT(CONNECTION_ID()) AS id");
          await admin.query(`KILL ${String(Object(row).id)}`);
        },
      };
    }

    ormTransactionTests(name, {
      open: opened,
      shardId: SHARD,
      at,
      upTo,
      failures: [
        ["1213", true],
        ["1205", true],
        ["1020", true],
        ["1040", true],
        ["1062", false],
      ],
    });

    test("a transaction that is rolled back while the checkpoint is under way has none", async () => {
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
  });
});
