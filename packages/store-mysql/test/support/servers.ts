import { randomUUID } from "node:crypto";
import {
  startMariadb,
  startMysql,
  type Lifecycle,
  type MysqlAddress,
} from "@kc-internal/test-services";
import { createPool, type Pool, type PoolOptions, type RowDataPacket } from "mysql2/promise";
import { inject, onTestFinished } from "vitest";
import { until } from "./until.ts";

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
  /** Resolves when a statement with this text waits for a row's lock. */
  waitsForRow(text: string): Promise<void>;
  drop(): Promise<void>;
}

/**
 * As they are now: who asks information_schema often gets the transactions of long ago. MySQL reads the first
 * comment, and its status leaves out transactions that have changed nothing yet. MariaDB reads the second.
 */
const LOCK_WAITS = `/*!80000 SELECT t.processlist_id AS id FROM performance_schema.data_lock_waits AS w
  JOIN performance_schema.threads AS t ON t.thread_id = w.requesting_thread_id */
  /*M! SHOW ENGINE INNODB STATUS */`;

/** The connections that wait, by MariaDB's status. */
const waitingIn = (status: string): readonly number[] =>
  status
    .split("---TRANSACTION")
    .filter((transaction) => transaction.includes("LOCK WAIT"))
    .map((transaction) => Number(/thread id (\d+),/.exec(transaction)?.[1]));

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
    waitsForRow: (text) =>
      until(`a statement that waits for a row: ${text}`, async () => {
        const [processes] = await outside.query<RowDataPacket[]>(
          "SELECT id AS id FROM information_schema.processlist WHERE db = ? AND LOCATE(?, info) > 0",
          [name, text],
        );
        const [rows] = await outside.query<RowDataPacket[]>(LOCK_WAITS);
        const waiting = rows.flatMap(({ id, Status }) =>
          Status ? waitingIn(Status) : [Number(id)],
        );
        const done = processes.some(({ id }) => waiting.includes(Number(id)));
        return { done, state: { processes, waiting } };
      }),
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
