import { setTimeout as after } from "node:timers/promises";
import { MysqlStore, type MysqlPool } from "@kc/store-mysql";
import { createConnection, createPool, type Pool, type RowDataPacket } from "mysql2/promise";
import type { Subject } from "./subject.ts";

/** `innodb_trx` is a copy that the server refreshes after 100 ms. */
const CACHED_MS = 150;
const DATABASE = "costs";
const COUNTERS = { Questions: "statements", Innodb_os_log_written: "logBytes" } as const;
/** The beginning of the store's changes, after a comment that only MariaDB interprets. */
const CHANGE = /^(?:\/\*M!.*?\*\/\s*)?(?:INSERT|UPDATE|DELETE)/s;

/** MySQL or MariaDB. */
export async function mysql(url: string): Promise<Subject> {
  const admin = await createConnection(url);
  await admin.query(`CREATE DATABASE ${DATABASE}`);
  await admin.query(`USE ${DATABASE}`);
  const number = async (sql: string): Promise<number> => {
    const [rows] = await admin.query<RowDataPacket[]>(sql);
    return Number(rows[0]!["n"]);
  };
  let locked = 0;
  let looks = 0;
  let pool: Pool | undefined;
  const tryOut = async (sql: string): Promise<void> => {
    await admin.query("START TRANSACTION");
    await admin.query(sql);
    await after(CACHED_MS);
    locked += await number(`SELECT trx_rows_locked AS n FROM information_schema.innodb_trx
      WHERE trx_mysql_thread_id = CONNECTION_ID()`);
    await admin.query("ROLLBACK");
  };
  return {
    url,
    open: (at) => new MysqlStore({ connection: at!, database: DATABASE }),
    async meter() {
      const [rows] = await admin.query<RowDataPacket[]>(
        `SHOW GLOBAL STATUS WHERE Variable_name IN ('${Object.keys(COUNTERS).join("', '")}')`,
      );
      const counts = Object.fromEntries(
        rows.map(({ Variable_name: name, Value: value }) => [
          COUNTERS[name as keyof typeof COUNTERS],
          Number(value),
        ]),
      );
      // The query itself counts as one.
      return { ...counts, statements: (counts["statements"] ?? 0) - looks++ };
    },
    locks: {
      open() {
        pool = createPool({ uri: url, database: DATABASE, connectionLimit: 1 });
        const own = pool;
        const handedIn: MysqlPool = {
          async getConnection() {
            const connection = await own.getConnection();
            return {
              connection: connection.connection,
              release: () => connection.release(),
              destroy: () => connection.destroy(),
              async query(options) {
                if (CHANGE.test(options.sql)) await tryOut(options.sql);
                return connection.query(options);
              },
            };
          },
        };
        return new MysqlStore({ pool: handedIn, database: DATABASE });
      },
      take() {
        const taken = locked;
        locked = 0;
        return taken;
      },
    },
    async [Symbol.asyncDispose]() {
      await pool?.end();
      await admin.end();
    },
  };
}
