import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import type { PageRecords } from "./page-records.ts";
import { announcedShards, lagOf } from "./reply-shapes.ts";
import { fromChildShard, type Shard } from "./shard.ts";

/** What one GetRecords brought. */
export interface RecordsPage {
  readonly records: PageRecords;
  /** Undefined = the shard is closed, and this was its last page. */
  readonly nextShardIterator: string | undefined;
  readonly millisBehindLatest: number;
  /** The shards that follow, in a last page; some emulators leave them out. */
  readonly children: readonly Shard[];
  /** The requests it took: the SDK's own retries count against the quota too. */
  readonly attempts: number;
}

export function recordsPage(reply: GetRecordsCommandOutput, records: PageRecords): RecordsPage {
  return {
    records,
    nextShardIterator: reply.NextShardIterator ?? undefined,
    millisBehindLatest: lagOf(reply.MillisBehindLatest),
    children: announcedShards(reply.ChildShards).map(fromChildShard),
    attempts: reply.$metadata?.attempts ?? 1,
  };
}
