import type { NumberReader } from "@kc/conformance";
import type { Pool } from "mysql2/promise";

/** The Go library's own read and write, in a database. */
export function numberReader(admin: Pool): NumberReader {
  return {
    async read({ application, streamName }, shardId) {
      const [rows] = await admin.query({
        sql: "SELECT sequence_number FROM kinesis_consumer WHERE namespace = ? AND shard_id = ?",
        values: [`${application}-${streamName}`, shardId],
        rowsAsArray: true,
      });
      return Object.values(rows).flat().map(String)[0];
    },
    async write({ application, streamName }, shardId, sequenceNumber) {
      await admin.query(
        "REPLACE INTO kinesis_consumer (namespace, shard_id, sequence_number) VALUES (?, ?, ?)",
        [`${application}-${streamName}`, shardId, sequenceNumber],
      );
    },
  };
}
