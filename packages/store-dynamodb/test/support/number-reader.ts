import type { NumberReader } from "@kc/conformance";
import type { Table } from "./table.ts";

/** The Go library's own read and write, in a table. */
export function numberReader(table: Table): NumberReader {
  return {
    async read({ application, streamName }, shardId) {
      const item = await table.get(`${application}-${streamName}`, shardId);
      return item?.["sequence_number"]?.S;
    },
    write: ({ application, streamName }, shardId, sequenceNumber) =>
      table.put(`${application}-${streamName}`, shardId, {
        sequence_number: { S: sequenceNumber },
      }),
  };
}
