import type { PutRecordsRequestEntry } from "@aws-sdk/client-kinesis";
import { AggregateWriter, beginsLikeAggregate } from "./aggregate-writer.ts";
import { hashKeyOf, ShardMap, type ListedShard } from "./shard-map.ts";
import { checkUserRecord, type UserRecord } from "./user-record.ts";

export interface AggregateOptions {
  /**
   * The stream's shards, as ListShards returns them, the closed ones too. Without them all records come
   * into one aggregate after another: for streams of one shard, and streams whose records are
   * distributed automatically. Elsewhere a consumer finds user records of other shards in them.
   */
  readonly shards?: readonly ListedShard[];
  /**
   * How long an aggregate may become with its partition key, in bytes, 1 to 10 MiB: no longer than the stream's
   * records. @default 51200, as the KPL has it
   */
  readonly maxBytes?: number;
}

/** A record for PutRecords, and what is in it. */
export interface StreamRecord {
  readonly entry: PutRecordsRequestEntry;
  readonly records: readonly UserRecord[];
  /** The shard that it is made for; undefined = `aggregate` was called without shards. */
  readonly shardId: string | undefined;
}

const MIB = 1024 * 1024;
const MOST_BYTES = 10 * MIB;

/**
 * Packs user records into as few stream records as fit, in the format of the KPL: those of a shard
 * together and in their order. A record that would be alone is put as it is, without a frame, and so is one
 * that is longer than `maxBytes`. Nothing is kept from one call to the next.
 * @throws TypeError for a record or shard that is none, RangeError for `maxBytes` out of bounds
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
  if (Number.isInteger(maxBytes) && maxBytes >= 1 && maxBytes <= MOST_BYTES) return;
  throw new RangeError(`maxBytes must be a whole number of bytes from 1 to ${MOST_BYTES}`);
}

function streamRecord(writer: AggregateWriter, shardId: string | undefined): StreamRecord {
  const { records } = writer;
  const [first] = records as [UserRecord];
  const { data, partitionKey: PartitionKey, explicitHashKey } = first;
  // One that looks like an aggregate itself gets a frame, so that nobody takes it apart.
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
