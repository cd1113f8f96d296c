import type { _Record as Record, ChildShard } from "@aws-sdk/client-kinesis";
import type { Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import type { Model } from "../model/model.ts";
import { formatShardIterator, parseShardIterator } from "../model/shard-iterator.ts";
import type { Shard, StoredRecord } from "../model/shard.ts";
import type { Stream } from "../model/stream.ts";
import type { Streams } from "../model/streams.ts";
import { endDryRun } from "./dry-run.ts";
import { rateExceeded, shardNotFound } from "./shard-errors.ts";

const MAX_PAGE_BYTES = 10 * 1024 * 1024;

export function getRecords(model: Model, input: Input<"GetRecords">): Output<"GetRecords"> {
  const { streams } = model;
  const now = streams.now();
  const iterator = parseShardIterator(input.ShardIterator!, now);
  const { stream, shard } = locate(streams, iterator, input.StreamARN, now);
  endDryRun(input);
  if (!shard.quotas.admitRead(model.clock.monotonic())) {
    throw rateExceeded(streams, stream.name, shard.id);
  }

  // Records that expired since the iterator was created are skipped.
  const start = Math.max(iterator.position, shard.first);
  const behind = start < shard.next;
  const holdBack = behind && iterator.emptyPages > 0;
  const limit = Math.min(input.Limit ?? Infinity, model.maxRecordsPerPage, 10_000);
  const page = holdBack ? [] : readPage(shard, start, limit);
  shard.quotas.chargeRead(page.reduce((sum, record) => sum + record.size, 0));

  const position = start + page.length;
  const ended = shard.closedAt !== undefined && position >= shard.next;
  const output = { Records: page.map(toOutput), MillisBehindLatest: lag(shard, position, now) };
  if (ended) {
    return {
      ...output,
      ...(model.omitChildShards ? {} : { ChildShards: children(stream, shard) }),
    };
  }
  const NextShardIterator = formatShardIterator({
    ...iterator,
    position,
    emptyPages: holdBack ? iterator.emptyPages - 1 : model.emptyPagesWhileBehind,
    createdAt: now,
  });
  return { ...output, NextShardIterator };
}

function locate(
  streams: Streams,
  iterator: { streamName: string; incarnation: number; shardId: string },
  arn: string | undefined,
  now: number,
): { stream: Stream; shard: Shard } {
  const { streamName, shardId } = iterator;
  if (arn !== undefined && arn !== streams.arnOf(streamName)) {
    const message = `The ShardIterator does not belong to the stream ${arn}.`;
    throw serviceError("InvalidArgumentException", message);
  }
  const stream = streams.get(streamName);
  const shard =
    stream?.incarnation === iterator.incarnation ? stream.shard(shardId, now) : undefined;
  if (stream === undefined || shard === undefined) {
    throw shardNotFound(streams, streamName, shardId);
  }
  return { stream, shard };
}

/** Reads records from `position` on, up to the limits of a page. */
function readPage(shard: Shard, position: number, limit: number): StoredRecord[] {
  const page: StoredRecord[] = [];
  let bytes = 0;
  for (let record = shard.at(position); record !== undefined && page.length < limit;) {
    bytes += record.size;
    if (bytes > MAX_PAGE_BYTES && page.length > 0) break;
    page.push(record);
    record = shard.at(position + page.length);
  }
  return page;
}

/** The age of the first record after the page in milliseconds, at least 1; 0 = none, at the tip. */
function lag(shard: Shard, position: number, now: number): number {
  const next = shard.at(position);
  return next === undefined ? 0 : Math.max(1, now - next.arrivedAt);
}

function toOutput(record: StoredRecord): Record {
  const output: Record = {
    SequenceNumber: record.sequenceNumber,
    ApproximateArrivalTimestamp: new Date(record.arrivedAt),
    Data: record.data,
    PartitionKey: record.partitionKey,
  };
  if (record.encrypted) output.EncryptionType = "KMS";
  return output;
}

function children(stream: Stream, shard: Shard): ChildShard[] {
  return stream.childrenOf(shard).map((child) => ({
    ShardId: child.id,
    ParentShards: [...child.parents],
    HashKeyRange: {
      StartingHashKey: child.range.start.toString(),
      EndingHashKey: child.range.end.toString(),
    },
  }));
}
