import type { ServerAddress, TransactionalStoreHarness } from "@kc/conformance";
import { startProxy, type PostgresAddress } from "@kc-internal/test-services";
import pg from "pg";
import { fromClient, PostgresStore, type PostgresStoreOptions } from "../../src/index.ts";
import { testDatabase } from "./database.ts";
import { numberReader } from "./number-reader.ts";

/**
 * A schema with a table of effects. Every handle reaches it through a proxy of the harness's own, and has
 * a pool of three connections that was handed in, the least there is, or pools of its own.
 */
export async function transactionalHarness(
  form: "pool" | "connection",
  { host, port, user, password, database }: PostgresAddress,
): Promise<TransactionalStoreHarness<pg.PoolClient>> {
  const { schema, admin, ...own } = await testDatabase();
  await admin.query(
    `CREATE TABLE ${schema}.effects (name text NOT NULL);
     CREATE TABLE ${schema}.once (name text UNIQUE DEFERRABLE INITIALLY DEFERRED)`,
  );
  const proxy = await startProxy({ host, port });
  const closers: (() => Promise<unknown>)[] = [];

  const openOn = (source: PostgresStoreOptions): PostgresStore => {
    const store = new PostgresStore({ ...source, schema, timeoutMs: 30_000 });
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  const sourceAt = (address: ServerAddress): PostgresStoreOptions => {
    const connection = { ...address, user, password, database };
    return form === "pool" ? { pool: borrow(connection, 3) } : { connection };
  };
  const open = async (): Promise<PostgresStore> =>
    openOn(sourceAt({ host: proxy.host, port: proxy.port }));
  // Clients that stand still. The others' work may wait for one another for as long as a busy machine takes.
  const openAt = async ([address]: readonly ServerAddress[]): Promise<PostgresStore> =>
    openOn({ ...sourceAt(address!), transactionIdleMs: 1000 });
  const borrow = (connection: pg.PoolConfig, max: number): pg.Pool => {
    const pool = new pg.Pool({ ...connection, max });
    pool.on("error", () => undefined); // as its owner has to
    closers.push(() => pool.end());
    return pool;
  };

  await (await open()).setup();
  return {
    open,
    servers: [{ host, port }],
    openAt,
    async endSessions(ports) {
      await admin.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1)",
        [ports],
      );
    },
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    // The whole statement: BEGIN names READ COMMITTED.
    cutAtCommit: async (when) => proxy.cutAt("COMMIT\0", when),
    async grantLease({ application, streamName }, shardId, { epoch, owner }) {
      await admin.query(
        `INSERT INTO ${schema}.kinesis_consumer_leases AS l (namespace, shard_id, epoch, owner)
           VALUES ($1, $2, $3, $4)
         ON CONFLICT (namespace, shard_id) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner`,
        [`${application}-${streamName}`, shardId, epoch, owner],
      );
    },
    byNumber: numberReader(admin, schema),
    async apply(tx, effect) {
      await tx.query(`INSERT INTO ${schema}.effects (name) VALUES ($1)`, [effect]);
    },
    async effects() {
      const { rows } = await admin.query<{ name: string }>(`SELECT name FROM ${schema}.effects`);
      return rows.map(({ name }) => name);
    },
    async begin() {
      const tx = await admin.connect();
      await tx.query("BEGIN");
      const end = async (command: string): Promise<void> => {
        await tx.query(command);
        tx.release();
      };
      return {
        executor: fromClient(tx),
        tx,
        commit: () => end("COMMIT"),
        rollback: () => end("ROLLBACK"),
      };
    },
    misuses: {
      ...Object.fromEntries(
        ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"].map((text) => [text, (tx) => tx.query(text)]),
      ),
      "release()": (tx) => tx.release(),
    },
    refuse: (tx) => tx.query(`INSERT INTO ${schema}.once VALUES ('a'), ('a')`),
    conflict: () => Object.assign(new Error("elsewhere"), { code: "40001" }),
    lock: (tx, name) =>
      tx.query(
        `SET LOCAL deadlock_timeout = 10;
         SELECT pg_advisory_xact_lock(hashtext(${tx.escapeLiteral(schema + name)}))`,
      ),
    ...(form === "pool" && {
      async openOnPool(connections, stores) {
        const pool = borrow({ host, port, user, password, database }, connections);
        return Array.from({ length: stores }, () => openOn({ pool }));
      },
    }),
    async letters(store) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the suite gives what `open` made
      const table = (store as PostgresStore).deadLetters();
      await table.setup();
      return table;
    },
    async [Symbol.asyncDispose]() {
      await proxy.close();
      for (const close of closers) await close();
      await own[Symbol.asyncDispose]();
    },
  };
}
