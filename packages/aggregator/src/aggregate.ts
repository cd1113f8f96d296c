import type { PutRecordsRequestEntry } from "@aws-sdk/client-kinesis";
import { AggregateWriter, beginsLikeAggregate } from "./aggregate-writer.ts";
import { hashKeyOf, ShardMap, type ListedShard } from "./shard-map.ts";
import { checkUserRecord, type UserRecord } from "./user-record.ts";

/** Options of `aggregate`. */
export interface AggregateOptions {
  /**
   * The shards of the stream as ListShards returns them, including closed ones. Leave them out only for a stream of one
   * shard, or one whose records are distributed automatically: without shards, an aggregate may contain user records
   * that belong to other shards, which consumers leave out. @default none: records are not separated by shard
   */
  readonly shards?: readonly ListedShard[];
  /**
   * Maximum size of an aggregate with its partition key, in bytes, 1 to 10 MiB. Must not exceed the maximum record size
   * of the stream. @default 51200, as in the KPL
   */
  readonly maxBytes?: number;
}

/** A record for PutRecords, and the user records that it contains. */
export interface StreamRecord {
  readonly entry: PutRecordsRequestEntry;
  readonly records: readonly UserRecord[];
  /** The shard that it is intended for; undefined = `aggregate` was called without shards. */
  readonly shardId: string | undefined;
}

const MIB = 1024 * 1024;
const MAX_BYTES = 10 * MIB;

/**
 * Packs user records into as few stream records as fit, in the format of the KPL. Records of a shard are packed
 * together, in order. A record that is alone, or larger than `maxBytes`, becomes a plain stream record. No state is
 * kept between calls.
 * @throws TypeError for an invalid record or shard, RangeError for `maxBytes` out of bounds
 */
export function aggregate(
  records: readonly UserRecord[],
  { shards, maxBytes = 51_200 }: AggregateOptions = {},
): StreamRecord[] {
  return aggregateBy(records, shards && new ShardMap(shards), maxBytes);
}

/** @throws as `aggregate` */
export function aggregateBy(
  records: readonly UserRecord[],
  shards: ShardMap | undefined,
  maxBytes: number,
): StreamRecord[] {
  checkMaxBytes(maxBytes);
  const writers = new Map<string | undefined, AggregateWriter>();
  const done: StreamRecord[] = [];
  for (const [index, record] of records.entries()) {
    checkUserRecord(record, index);
    const shardId = shards?.shardOf(hashKeyOf(record));
    if (shards !== undefined && shardId === undefined) {
      throw new TypeError(`record ${index} cannot be put: no open shard of the listing takes it`);
    }
    let writer = writers.get(shardId);
    if (writer !== undefined && writer.streamBytesWith(record) > maxBytes) {
      done.push(streamRecord(writer, shardId));
      writer = undefined;
    }
    if (writer === undefined) writers.set(shardId, (writer = new AggregateWriter()));
    writer.add(record);
  }
  for (const [shardId, writer] of writers) done.push(streamRecord(writer, shardId));
  return done;
}

/** @throws RangeError */
export function checkMaxBytes(maxBytes: number): void {
  if (Number.isInteger(maxBytes) && maxBytes >= 1 && maxBytes <= MAX_BYTES) return;
  throw new RangeError(`maxBytes must be a whole number of bytes from 1 to ${MAX_BYTES}`);
}

function streamRecord(writer: AggregateWriter, shardId: string | undefined): StreamRecord {
  const { records } = writer;
  const [first] = records as [UserRecord];
  const { data, partitionKey: PartitionKey, explicitHashKey } = first;
  // Data that looks like an aggregate itself is wrapped in one, so that consumers do not de-aggregate it.
  const isPlain = records.length === 1 && !beginsLikeAggregate(data);
  const ExplicitHashKey =
    isPlain || shardId === undefined ? explicitHashKey : String(hashKeyOf(first));
  return {
    entry: {
      Data: isPlain ? data : writer.encode(),
      PartitionKey,
      ...(ExplicitHashKey === undefined ? {} : { ExplicitHashKey }),
    },
    records,
    shardId,
  };
}
