import type { GetRecordsCommandOutput, _Record as SdkRecord } from "@aws-sdk/client-kinesis";
import { fromChildShard, type Shard } from "./shard.ts";

/** What one GetRecords brought. */
export interface RecordsPage {
  readonly records: readonly SdkRecord[];
  /** Undefined = the shard is closed, and this was its last page. */
  readonly nextShardIterator: string | undefined;
  readonly millisBehindLatest: number;
  /** The shards that follow, in a last page; some emulators leave them out. */
  readonly children: readonly Shard[];
  /** The memory that the page keeps alive, in bytes. */
  readonly heldBytes: number;
  /** Data and partition keys, as the shard's quota of 2 MiB a second counts them. */
  readonly payloadBytes: number;
  /** The requests it took: the SDK's own retries count against the quota too. */
  readonly attempts: number;
}

/** What a record costs beside its data: two strings, a date, an object. An estimate, in bytes. */
const RECORD_OVERHEAD_BYTES = 200;

export function recordsPage(reply: GetRecordsCommandOutput): RecordsPage {
  const records = reply.Records ?? [];
  let payloadBytes = 0;
  for (const { Data, PartitionKey } of records) {
    payloadBytes += (Data?.byteLength ?? 0) + (PartitionKey?.length ?? 0);
  }
  return {
    records,
    nextShardIterator: reply.NextShardIterator ?? undefined,
    millisBehindLatest: reply.MillisBehindLatest ?? 0,
    children: (reply.ChildShards ?? []).map(fromChildShard),
    heldBytes: payloadBytes + records.length * RECORD_OVERHEAD_BYTES,
    payloadBytes,
    attempts: reply.$metadata?.attempts ?? 1,
  };
}
