import type { NumberReader } from "@kc/conformance";
import type pg from "pg";

/** The Go library's own read and write, in a schema. */
export function numberReader(admin: pg.Pool, schema: string): NumberReader {
  return {
    async read({ application, streamName }, shardId) {
      const { rows } = await admin.query<{ sequence_number: string }>(
        `SELECT sequence_number FROM ${schema}.kinesis_consumer WHERE namespace=$1 AND shard_id=$2;`,
        [`${application}-${streamName}`, shardId],
      );
      return rows[0]?.sequence_number;
    },
    async write({ application, streamName }, shardId, sequenceNumber) {
      await admin.query(
        `INSERT INTO ${schema}.kinesis_consumer (namespace, shard_id, sequence_number)
           VALUES($1, $2, $3)
         ON CONFLICT (namespace, shard_id) DO UPDATE SET sequence_number= $3;`,
        [`${application}-${streamName}`, shardId, sequenceNumber],
      );
    },
  };
}
