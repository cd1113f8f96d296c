import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import type { PageRecords } from "./page-records.ts";
import { announcedShards, lagOf, nextIterator } from "./reply-shapes.ts";
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
  /**
   * What was put until then is in this page or came before it, by the service's clock, in milliseconds
   * since the epoch. Undefined = the reply did not say that there is nothing more, or not when.
   */
  readonly completeUntil: number | undefined;
}

/** There is no memory for a reply: it was given up, read or not. The same call gives it again. */
export class NoRoomError extends Error {
  /** What the page takes up. */
  readonly bytes: number;

  constructor(bytes: number) {
    super(`there is no room for a page of ${bytes} bytes`);
    this.bytes = bytes;
  }
}

/**
 * @param servedAt when the service made the reply, in milliseconds since the epoch; NaN = unknown
 * @throws UnexpectedReplyError for a reply that is not one of GetRecords
 */
export function recordsPage(
  reply: GetRecordsCommandOutput,
  records: PageRecords,
  servedAt: number,
): RecordsPage {
  const complete = reply.MillisBehindLatest === 0 && !Number.isNaN(servedAt);
  return {
    completeUntil: complete ? servedAt : undefined,
    records,
    nextShardIterator: nextIterator(reply, records.length),
    millisBehindLatest: lagOf(reply.MillisBehindLatest),
    children: announcedShards(reply.ChildShards).map(fromChildShard),
    attempts: reply.$metadata?.attempts ?? 1,
  };
}
