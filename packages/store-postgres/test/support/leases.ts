import type { Fence, StoreScope, WorkerMembership } from "@kc/core";
import type pg from "pg";

export const SCOPE: StoreScope = { application: "billing", streamName: "orders" };
export const NAMESPACE = "billing-orders";
export const SHARD = "shardId-000000000000";
export const WORKER: WorkerMembership = {
  workerId: "worker",
  incarnation: "1",
  weight: 1,
  maxShards: undefined,
};

/** What a store with leases does when it claims a shard: the lease first, then the checkpoint. */
export async function claim(
  pool: pg.Pool,
  schema: string,
  shardId: string,
  owner: string,
): Promise<string | undefined> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await client.query(
      `INSERT INTO ${schema}.kinesis_consumer_leases AS l VALUES ($1, $2, 1, $3)
       ON CONFLICT (namespace, shard_id) DO UPDATE SET epoch = l.epoch + 1, owner = excluded.owner`,
      [NAMESPACE, shardId, owner],
    );
    const seen = await storedNumber(client, schema, shardId);
    await client.query("COMMIT");
    return seen;
  } finally {
    client.release();
  }
}

export async function storedNumber(
  client: pg.Pool | pg.PoolClient,
  schema: string,
  shardId: string,
): Promise<string | undefined> {
  const { rows } = await client.query<{ sequence_number: string }>(
    `SELECT sequence_number FROM ${schema}.kinesis_consumer WHERE namespace = $1 AND shard_id = $2`,
    [NAMESPACE, shardId],
  );
  return rows[0]?.sequence_number;
}

export async function grant(
  pool: pg.Pool,
  schema: string,
  shardId: string,
  { epoch, owner }: Fence,
): Promise<void> {
  await pool.query(
    `INSERT INTO ${schema}.kinesis_consumer_leases VALUES ($1, $2, $3, $4)
     ON CONFLICT (namespace, shard_id) DO UPDATE SET epoch = excluded.epoch, owner = excluded.owner`,
    [NAMESPACE, shardId, epoch, owner],
  );
}
