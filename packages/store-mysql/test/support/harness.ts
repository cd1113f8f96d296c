import type { FrozenClientHarness, LeaseStoreHarness, ServerAddress } from "@kc/conformance";
import { startProxy, type MysqlAddress } from "@kc-internal/test-services";
import { createPool, type Pool } from "mysql2/promise";
import { MysqlStore } from "../../src/index.ts";
import { numberReader } from "./number-reader.ts";
import { createDatabase } from "./servers.ts";

/** Against hangs alone: a busy machine may stand still for seconds. */
const timeoutMs = 30_000;

/**
 * A database of its own on the server that all tests share. Every handle reaches it through a proxy
 * that can be cut, by a pool of its own or one that was handed in.
 */
export async function mysqlHarness(
  address: MysqlAddress,
  form: "connection" | "pool",
): Promise<LeaseStoreHarness> {
  const database = await createDatabase(address);
  const proxy = await startProxy(address);
  const { host, port } = proxy;
  const connection = { ...database.options, host, port };
  const closers: (() => unknown)[] = [() => proxy.close(), () => database.drop()];

  const borrow = (): Pool => {
    const pool = createPool({ ...connection, connectionLimit: 1 });
    // As the README asks of its owner: else MySQL lets a statement wait on for 50 s.
    pool.on("connection", (each) => void each.query("SET innodb_lock_wait_timeout = 1"));
    closers.unshift(() => pool.end());
    return pool;
  };
  const keep = (store: MysqlStore): MysqlStore => {
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  const open = async (): Promise<MysqlStore> =>
    keep(new MysqlStore({ ...(form === "pool" ? { pool: borrow() } : { connection }), timeoutMs }));

  await (await open()).setup();
  return {
    joinsNames: true,
    open,
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async grantLease({ application, streamName }, shardId, { epoch, owner }) {
      await database.admin.query(
        `INSERT INTO kinesis_consumer_leases (namespace, shard_id, epoch, owner) VALUES (?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), owner = VALUES(owner)`,
        [`${application}-${streamName}`, shardId, epoch, owner],
      );
    },
    async lockRow({ application, streamName }, shardId, row) {
      const table = row === "lease" ? "kinesis_consumer_leases" : "kinesis_consumer";
      const other = await database.admin.getConnection();
      await other.query("START TRANSACTION");
      await other.query(`SELECT * FROM ${table} WHERE namespace = ? AND shard_id = ? FOR UPDATE`, [
        `${application}-${streamName}`,
        shardId,
      ]);
      let isHeld = true;
      const unlock = async (): Promise<void> => {
        if (isHeld) await other.query("ROLLBACK");
        if (isHeld) other.release();
        isHeld = false;
      };
      closers.unshift(unlock);
      return unlock;
    },
    byNumber: numberReader(database.admin),
    async openOnBorrowedClient() {
      const pool = borrow();
      return {
        store: keep(new MysqlStore({ pool, timeoutMs })),
        async clientWorks() {
          const [rows] = await pool.query("SELECT 1 AS one");
          return JSON.stringify(rows) === '[{"one":1}]';
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}

/** An empty database. A client that is to stand still has a pool of the store's own. */
export async function frozenClientHarness(server: MysqlAddress): Promise<FrozenClientHarness> {
  const database = await createDatabase(server);
  const stores: MysqlStore[] = [];
  const openAt = async ([address]: readonly ServerAddress[]): Promise<MysqlStore> => {
    const store = new MysqlStore({ connection: { ...database.options, ...address }, timeoutMs });
    stores.push(store);
    return store;
  };
  return {
    servers: [server],
    open: () => openAt([server]),
    openAt,
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
      await database.drop();
    },
  };
}
