import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import type { PageRecords } from "./page-records.ts";
import { announcedShards, lagOf, nextIterator } from "./reply-shapes.ts";
import { fromChildShard, type Shard } from "./shard.ts";

/** The reply of one GetRecords call. */
export interface RecordsPage {
  readonly records: PageRecords;
  /** `undefined` if the shard is closed and this is its last page. */
  readonly nextShardIterator: string | undefined;
  readonly millisBehindLatest: number;
  /** In a last page, the child shards. Some emulators leave them out. */
  readonly children: readonly Shard[];
  /** The number of requests, with the SDK's own retries: they count against the quota too. */
  readonly attempts: number;
  /**
   * All records that were put until this time, by the service's clock, are in this page or in earlier ones;
   * in milliseconds since the epoch. `undefined` if the page is not at the tip, or the reply has no time.
   */
  readonly completeUntil: number | undefined;
}

/** A reply was dropped because there is no memory for it. The same call returns it again. */
export class NoRoomError extends Error {
  /** The size of the page. */
  readonly bytes: number;

  constructor(bytes: number) {
    super(`there is no room for a page of ${bytes} bytes`);
    this.bytes = bytes;
  }
}

/**
 * @param servedAt when the service sent the reply, in milliseconds since the epoch; NaN = unknown
 * @throws UnexpectedReplyError if the reply is not one of GetRecords
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
