import { randomUUID } from "node:crypto";
import {
  startMariadb,
  startMysql,
  type Lifecycle,
  type MysqlAddress,
} from "@kc-internal/test-services";
import { createPool, type Pool, type PoolOptions, type RowDataPacket } from "mysql2/promise";
import { inject, onTestFinished } from "vitest";

export interface Server {
  readonly name: string;
  readonly address: MysqlAddress;
  /** One more, to be broken. */
  readonly start: (settings?: readonly string[]) => Promise<MysqlAddress & Lifecycle>;
}

/** Every server that this machine has. The set-up reports a missing MySQL. */
export const SERVERS: readonly Server[] = [
  { name: "MariaDB", address: inject("mariadb"), start: startMariadb },
  { name: "MySQL", address: inject("mysql"), start: startMysql },
].flatMap(({ address, ...server }) => (address === undefined ? [] : [{ ...server, address }]));

/** A database of its own, and a way in that does not go through the code under test. */
export interface Database {
  readonly name: string;
  /** Options for a pool in this database. */
  readonly options: PoolOptions;
  readonly admin: Pool;
  /** The connections to this database, and what each is doing. */
  processes(): Promise<readonly { readonly id: number; readonly statement: string }[]>;
  drop(): Promise<void>;
}

export async function createDatabase(address: MysqlAddress): Promise<Database> {
  const name = `kc_${randomUUID().replaceAll("-", "")}`;
  const { host, port, user, password } = address;
  const server = { host, port, user, password, connectionLimit: 3, multipleStatements: true };
  const outside = createPool(server);
  await outside.query(`CREATE DATABASE ${name}`);
  const bigNumbers = { supportBigNumbers: true, bigNumberStrings: true };
  const admin = createPool({ ...server, ...bigNumbers, database: name });
  return {
    name,
    options: { host, port, user, password, database: name },
    admin,
    async processes() {
      const [rows] = await outside.query<RowDataPacket[]>(
        `SELECT id AS id, info AS info FROM information_schema.processlist WHERE db = '${name}'`,
      );
      return rows.map(({ id, info }) => ({ id: Number(id), statement: String(info) }));
    },
    async drop() {
      await outside.query(`DROP DATABASE IF EXISTS ${name}`);
      await Promise.all([admin.end(), outside.end()]);
    },
  };
}

/** Dropped at the test's end. */
export async function ownDatabase(address: MysqlAddress): Promise<Database> {
  const database = await createDatabase(address);
  onTestFinished(() => database.drop());
  return database;
}

/** Ended at the test's end. */
export function ownPool(options: PoolOptions): Pool {
  const pool = createPool(options);
  onTestFinished(() => pool.end());
  return pool;
}
