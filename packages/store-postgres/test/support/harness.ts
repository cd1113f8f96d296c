import type { LeaseStoreHarness } from "@kc/conformance";
import { startProxy, type Address } from "@kc-internal/test-services";
import pg from "pg";
import { PostgresStore, type PostgresStoreOptions } from "../../src/index.ts";
import { testDatabase } from "./database.ts";

/**
 * A schema that every handle reaches through a proxy of the harness's own. A handle has a pool of
 * one connection that was handed in, or one of its own.
 */
export async function postgresHarness(
  form: "pool" | "connection",
  { host, port, user, database }: Address & { readonly user: string; readonly database: string },
  listenConnection?: string,
): Promise<LeaseStoreHarness> {
  const { schema, admin, ...own } = await testDatabase();
  const proxy = await startProxy({ host, port });
  const closers: (() => Promise<unknown>)[] = [];
  const connection = { host: proxy.host, port: proxy.port, user, database };

  const borrow = (): pg.Pool => {
    const pool = new pg.Pool({ ...connection, max: 1 });
    pool.on("error", () => undefined); // as its owner has to
    closers.push(() => pool.end());
    return pool;
  };
  const keep = (options: PostgresStoreOptions): PostgresStore => {
    const listening = listenConnection === undefined ? {} : { listenConnection };
    const store = new PostgresStore({ ...options, ...listening });
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
