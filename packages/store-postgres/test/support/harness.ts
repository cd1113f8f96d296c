import type { FrozenClientHarness, LeaseStoreHarness, ServerAddress } from "@kc/conformance";
import { startProxy, type PostgresAddress } from "@kc-internal/test-services";
import pg from "pg";
import { PostgresStore, type PostgresStoreOptions } from "../../src/index.ts";
import { testDatabase } from "./database.ts";
import { numberReader } from "./number-reader.ts";

/** Against hangs alone: a busy machine may stand still for seconds. */
const timeoutMs = 30_000;

/**
 * A schema that every handle reaches through a proxy of the harness's own. A handle has a pool of
 * one connection that was handed in, or one of its own.
 */
export async function postgresHarness(
  form: "pool" | "connection",
  { host, port, user, password, database }: PostgresAddress,
  listenConnection?: string,
): Promise<LeaseStoreHarness> {
  const { schema, admin, ...own } = await testDatabase();
  const proxy = await startProxy({ host, port });
  const closers: (() => Promise<unknown>)[] = [];
  const connection = { host: proxy.host, port: proxy.port, user, password, database };

  const borrow = (): pg.Pool => {
    const pool = new pg.Pool({ ...connection, max: 1 });
    pool.on("error", () => undefined); // as its owner has to
    closers.push(() => pool.end());
    return pool;
  };
  const keep = (options: PostgresStoreOptions): PostgresStore => {
    const listening = listenConnection === undefined ? {} : { listenConnection };
    const store = new PostgresStore({ timeoutMs, ...options, ...listening });
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  const open = async (): Promise<PostgresStore> =>
    keep(form === "pool" ? { pool: borrow(), schema } : { connection, schema });

  await (await open()).setup();
  return {
    open,
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    joinsNames: true,
    async grantLease({ application, streamName }, shardId, { epoch, owner }) {
      await admin.query(
        `INSERT INTO ${schema}.kinesis_consumer_leases AS l (namespace, shard_id, epoch, owner)
           VALUES ($1, $2, $3, $4)
         ON CONFLICT (namespace, shard_id) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner`,
        [`${application}-${streamName}`, shardId, epoch, owner],
      );
    },
    async lockRow({ application, streamName }, shardId, row) {
      const table = row === "lease" ? "kinesis_consumer_leases" : "kinesis_consumer";
      const other = await admin.connect();
      await other.query("BEGIN");
      await other.query(
        `SELECT FROM ${schema}.${table} WHERE namespace = $1 AND shard_id = $2 FOR UPDATE`,
        [`${application}-${streamName}`, shardId],
      );
      let isHeld = true;
      const unlock = async (): Promise<void> => {
        if (isHeld) await other.query("ROLLBACK");
        if (isHeld) other.release();
        isHeld = false;
      };
      closers.push(unlock);
      return unlock;
    },
    byNumber: numberReader(admin, schema),
    async openOnBorrowedClient() {
      const pool = borrow();
      return {
        store: keep({ pool, schema }),
        clientWorks: async () => (await pool.query("SELECT 1")).rowCount === 1,
      };
    },
    async [Symbol.asyncDispose]() {
      await proxy.close();
      for (const close of closers) await close();
      await own[Symbol.asyncDispose]();
    },
  };
}

/** An empty schema. A client that is to stand still has a pool of the store's own. */
export async function frozenClientHarness(server: PostgresAddress): Promise<FrozenClientHarness> {
  const { schema, ...own } = await testDatabase();
  const { user, password, database } = server;
  const stores: PostgresStore[] = [];
  const openAt = async ([address]: readonly ServerAddress[]): Promise<PostgresStore> => {
    const { host, port } = address!;
    const connection = { host, port, user, password, database };
    const store = new PostgresStore({ connection, schema, timeoutMs });
    stores.push(store);
    return store;
  };
  return {
    servers: [server],
    open: () => openAt([server]),
    openAt,
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}
