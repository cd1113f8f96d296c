import type { ServerAddress, TransactionalStoreHarness } from "@kc/conformance";
import { startProxy, type MysqlAddress } from "@kc-internal/test-services";
import { createPool as createCallbackPool } from "mysql2";
import {
  createPool,
  type Pool,
  type PoolConnection,
  type PoolOptions,
  type RowDataPacket,
} from "mysql2/promise";
import { fromConnection, MysqlStore, type MysqlStoreOptions } from "../../src/index.ts";
import { numberReader } from "./number-reader.ts";
import { createDatabase } from "./servers.ts";

/** Each ends the transaction of the connection. */
const STATEMENTS = [
  "COMMIT",
  "ROLLBACK",
  "COMMIT AND CHAIN",
  "CREATE TABLE another (x int)",
  "LOCK TABLES effects WRITE",
] as const;
const METHODS = ["commit", "rollback", "release", "destroy"] as const;

/**
 * A database with a table of effects. Every handle reaches it through a proxy of the harness's own, and has
 * a pool of three connections that was handed in, the least there is, or pools of its own.
 */
export async function transactionalHarness(
  form: "pool" | "connection",
  address: MysqlAddress,
): Promise<TransactionalStoreHarness<PoolConnection>> {
  const database = await createDatabase(address);
  const { admin } = database;
  await admin.query(
    `CREATE TABLE effects (name varchar(64) NOT NULL) ENGINE=InnoDB;
     CREATE TABLE once (name varchar(64) PRIMARY KEY) ENGINE=InnoDB`,
  );
  const proxy = await startProxy(address);
  const closers: (() => unknown)[] = [() => proxy.close(), () => database.drop()];

  const openOn = (source: MysqlStoreOptions): MysqlStore => {
    const store = new MysqlStore({ ...source, timeoutMs: 30_000 });
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  const openFor = async (idleSeconds: number, at: ServerAddress): Promise<MysqlStore> => {
    const connection = { ...database.options, ...at };
    return openOn(
      form === "pool"
        ? { pool: borrow(connection, idleSeconds) }
        : { connection, transactionIdleMs: 1000 * idleSeconds },
    );
  };
  const open = (): Promise<MysqlStore> => openFor(60, { host: proxy.host, port: proxy.port });
  // Clients that stand still. The others' work may wait for one another for as long as a busy machine takes.
  const openAt = ([at]: readonly ServerAddress[]): Promise<MysqlStore> => openFor(1, at!);
  const borrow = (connection: PoolOptions, idleSeconds: number): Pool => {
    const pool = createPool({ ...connection, connectionLimit: 3 });
    // As the README asks of its owner.
    const idle = `/*!80000 , wait_timeout = ${1 + idleSeconds} */ /*M! , idle_transaction_timeout = ${idleSeconds} */`;
    pool.on("connection", (each) => {
      void each.query(`SET SESSION innodb_lock_wait_timeout = 1 ${idle}`);
    });
    closers.unshift(() => pool.end());
    return pool;
  };

  await (await open()).setup();
  return {
    open,
    servers: [{ host: address.host, port: address.port }],
    openAt,
    async endSessions(ports) {
      for (const port of ports) {
        const [rows] = await admin.query<RowDataPacket[]>(
          "SELECT id AS id FROM information_schema.processlist WHERE host LIKE ?",
          [`%:${port}`],
        );
        // Some are gone before they are ended.
        for (const { id } of rows) await admin.query(`KILL ${id}`).catch(() => undefined);
      }
    },
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    // Not READ COMMITTED.
    cutAtCommit: async (when) => proxy.cutAt("COMMIT AND", when),
    async grantLease({ application, streamName }, shardId, { epoch, owner }) {
      await admin.query(
        `INSERT INTO kinesis_consumer_leases (namespace, shard_id, epoch, owner) VALUES (?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), owner = VALUES(owner)`,
        [`${application}-${streamName}`, shardId, epoch, owner],
      );
    },
    byNumber: numberReader(admin),
    async apply(tx, effect) {
      await tx.query("INSERT INTO effects (name) VALUES (?)", [effect]);
    },
    async effects() {
      const [rows] = await admin.query<RowDataPacket[]>("SELECT name FROM effects");
      return rows.map(({ name }) => String(name));
    },
    async begin() {
      const tx = await admin.getConnection();
      await tx.query("START TRANSACTION");
      // The transaction's own view is older than what it will meet.
      await tx.query("SELECT count(*) FROM effects");
      const end = async (command: string): Promise<void> => {
        await tx.query(command);
        tx.release();
      };
      return {
        executor: fromConnection(tx),
        tx,
        commit: () => end("COMMIT"),
        rollback: () => end("ROLLBACK"),
      };
    },
    misuses: {
      ...Object.fromEntries(STATEMENTS.map((text) => [text, (tx) => tx.query(text)])),
      ...Object.fromEntries(METHODS.map((name) => [`${name}()`, (tx) => tx[name]()])),
    },
    refuse: (tx) => tx.query("INSERT INTO once VALUES ('a'), ('a')"),
    conflict: () => Object.assign(new Error("elsewhere"), { errno: 1213, sqlState: "40001" }),
    lock: (tx, name) =>
      tx.query("INSERT INTO once VALUES (?) ON DUPLICATE KEY UPDATE name = name", [name]),
    // With callbacks: each store makes its own promises of it.
    async openOnPool(connectionLimit, stores) {
      const pool = createCallbackPool({ ...database.options, connectionLimit });
      closers.unshift(() => pool.promise().end());
      return Array.from({ length: stores }, () => openOn({ pool }));
    },
    async letters(store) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the suite gives what `open` made
      const table = (store as MysqlStore).deadLetters();
      await table.setup();
      return table;
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}
