import type { OperationName } from "./operation-types.ts";

/** What the service accepts as one member of a request. */
export type Shape = { readonly required?: true } & (
  | { readonly type: "string"; readonly length?: Bounds; readonly pattern?: RegExp }
  | { readonly type: "enum"; readonly values: readonly string[] }
  | { readonly type: "integer"; readonly range: Bounds }
  | { readonly type: "boolean" }
  | { readonly type: "blob" }
  | { readonly type: "timestamp" }
  | { readonly type: "list"; readonly length: Bounds; readonly member: Shape }
  | { readonly type: "structure"; readonly members: Members }
);
export type Members = Readonly<Record<string, Shape>>;
/** Smallest and largest, both allowed. */
type Bounds = readonly [number, number];

const name = /^[a-zA-Z0-9_.-]+$/;
const hashKey: Shape = { type: "string", pattern: /^(0|[1-9]\d{0,38})$/ };
const sequenceNumber: Shape = { type: "string", pattern: /^(0|[1-9]\d{0,128})$/ };
const shardId: Shape = { type: "string", pattern: name, length: [1, 128] };
const token: Shape = { type: "string", length: [1, 1_048_576] };
const limit: Shape = { type: "integer", range: [1, 10_000] };
const timestamp: Shape = { type: "timestamp" };
const retentionHours: Shape = { type: "integer", range: [1, 8760], required: true };
/** Asks whether the request would succeed, and does nothing. */
const dryRun: Shape = { type: "boolean" };
const streamName: Shape = { type: "string", pattern: name, length: [1, 128] };

/** Every operation on a stream takes its name or its ARN. */
const stream: Members = {
  StreamName: streamName,
  StreamARN: {
    type: "string",
    pattern: /^arn:aws[^:]*:kinesis:[^:]+:\d{12}:stream\/\S+$/,
    length: [1, 2048],
  },
};

const record: Members = {
  Data: { type: "blob", required: true },
  PartitionKey: { type: "string", length: [1, 256], required: true },
  ExplicitHashKey: hashKey,
};

const iteratorTypes = [
  "AT_SEQUENCE_NUMBER",
  "AFTER_SEQUENCE_NUMBER",
  "TRIM_HORIZON",
  "LATEST",
  "AT_TIMESTAMP",
];

const filterTypes = [
  "AFTER_SHARD_ID",
  "AT_TRIM_HORIZON",
  "FROM_TRIM_HORIZON",
  "AT_LATEST",
  "AT_TIMESTAMP",
  "FROM_TIMESTAMP",
];

/** The members of each operation's request; unknown ones are ignored, as the service does. */
export const inputShapes: Readonly<Record<OperationName, Members>> = {
  CreateStream: {
    StreamName: { ...streamName, required: true },
    ShardCount: { type: "integer", range: [1, 100_000] },
    MaxRecordSizeInKiB: { type: "integer", range: [1024, 10_240] },
    StreamModeDetails: {
      type: "structure",
      members: {
        StreamMode: { type: "enum", values: ["PROVISIONED", "ON_DEMAND"], required: true },
      },
    },
  },
  DecreaseStreamRetentionPeriod: { ...stream, RetentionPeriodHours: retentionHours },
  DeleteStream: { ...stream, EnforceConsumerDeletion: { type: "boolean" } },
  DescribeStream: { ...stream, Limit: limit, ExclusiveStartShardId: shardId },
  DescribeStreamSummary: stream,
  GetRecords: {
    StreamARN: stream["StreamARN"]!,
    ShardIterator: { type: "string", length: [1, 512], required: true },
    Limit: limit,
    DryRun: dryRun,
  },
  GetShardIterator: {
    ...stream,
    ShardId: { ...shardId, required: true },
    ShardIteratorType: { type: "enum", values: iteratorTypes, required: true },
    StartingSequenceNumber: sequenceNumber,
    Timestamp: timestamp,
    DryRun: dryRun,
  },
  IncreaseStreamRetentionPeriod: { ...stream, RetentionPeriodHours: retentionHours },
  ListShards: {
    ...stream,
    NextToken: token,
    ExclusiveStartShardId: shardId,
    MaxResults: limit,
    StreamCreationTimestamp: timestamp,
    ShardFilter: {
      type: "structure",
      members: {
        Type: { type: "enum", values: filterTypes, required: true },
        ShardId: shardId,
        Timestamp: timestamp,
      },
    },
  },
  ListStreams: { Limit: limit, ExclusiveStartStreamName: streamName, NextToken: token },
  MergeShards: {
    ...stream,
    ShardToMerge: { ...shardId, required: true },
    AdjacentShardToMerge: { ...shardId, required: true },
  },
  PutRecord: {
    ...stream,
    ...record,
    SequenceNumberForOrdering: sequenceNumber,
    DryRun: dryRun,
  },
  PutRecords: {
    ...stream,
    Records: {
      type: "list",
      length: [1, 500],
      member: { type: "structure", members: record },
      required: true,
    },
    DryRun: dryRun,
  },
  SplitShard: {
    ...stream,
    ShardToSplit: { ...shardId, required: true },
    NewStartingHashKey: { ...hashKey, required: true },
  },
  UpdateShardCount: {
    ...stream,
    TargetShardCount: { type: "integer", range: [1, 100_000], required: true },
    ScalingType: { type: "enum", values: ["UNIFORM_SCALING"], required: true },
  },
};
