import { createHash } from "node:crypto";
import { aggregate, type UserRecord } from "@kc/aggregator";
import { ConsumerRecord } from "../../src/index.ts";
import { Aggregate } from "../../src/kinesis/aggregates/aggregate.ts";
import { AggregateFrames } from "../../src/kinesis/aggregates/aggregate-frames.ts";
import type { ShardKeys } from "../../src/kinesis/aggregates/shard-keys.ts";
import { DecodedRecords } from "../../src/kinesis/page-records.ts";

const MAGIC = Buffer.from("f3899ac2", "hex");

export const userRecord = (
  partitionKey: string,
  text: string,
  explicitHashKey?: string,
): UserRecord => ({
  partitionKey,
  data: Buffer.from(text),
  ...(explicitHashKey === undefined ? {} : { explicitHashKey }),
});

/** All of them in one aggregate. */
export function aggregateOf(records: readonly UserRecord[]): Uint8Array {
  const packed = aggregate(records, { maxBytes: 10 * 2 ** 20 });
  if (packed.length !== 1 || records.length < 2) throw new Error("not one aggregate");
  return packed[0]!.entry.Data!;
}

/** A protobuf message in its frame, with the right digest. */
export function framed(message: Uint8Array): Uint8Array {
  return Buffer.concat([MAGIC, message, createHash("md5").update(message).digest()]);
}

/** A stream record with these data. */
export function recordOf(data: Uint8Array): ConsumerRecord {
  return new ConsumerRecord({
    data,
    partitionKey: "a",
    explicitHashKey: undefined,
    sequenceNumber: "1",
    subSequenceNumber: undefined,
    aggregated: false,
    approximateArrivalMs: 0,
    shardId: "shardId-000000000000",
    millisBehindLatest: 0,
    encryptionType: undefined,
  });
}

/** The user records in these data; undefined = they are no aggregate. */
export function takenApart(
  data: Uint8Array,
  keys?: ShardKeys,
  leavesOut = true,
): ConsumerRecord[] | undefined {
  const page = new DecodedRecords([{ Data: data, SequenceNumber: "1", PartitionKey: "a" }]);
  if (!new AggregateFrames(page).isFramed(0)) return undefined;
  const opened = Aggregate.open(recordOf(data), { keys, mayLeaveOut: () => leavesOut, after: -1 });
  if (opened === undefined) return undefined;
  const records: ConsumerRecord[] = [];
  while (opened.next()) records.push(opened.record());
  return records;
}
