import type { OperationName } from "./operation-types.ts";
import {
  anyInteger,
  boolean,
  byArn,
  byNameOrArn,
  byResource,
  dryRun,
  hashKey,
  integer,
  keyId,
  limit,
  type Members,
  oneOf,
  record,
  required,
  sequenceNumber,
  shardId,
  shardLevelMetrics,
  streamArn,
  streamName,
  tagKey,
  tagKeys,
  tags,
  timestamp,
  token,
} from "./shapes.ts";

const distribution = oneOf("AUTO", "USER_PARTITION_KEY");
const maxRecordSize = integer(1024, 10_240);
const warmThroughput = integer(0);
const streamMode: Members = { StreamMode: required(oneOf("PROVISIONED", "ON_DEMAND")) };

const tagsOf: Members = { Tags: required(tags) };
const tagKeysOf: Members = { TagKeys: required(tagKeys) };
const retention: Members = { ...byNameOrArn, RetentionPeriodHours: required(anyInteger) };
const encryption: Members = {
  ...byNameOrArn,
  EncryptionType: required(oneOf("NONE", "KMS")),
  KeyId: required(keyId),
};
const monitoring: Members = {
  ...byNameOrArn,
  ShardLevelMetrics: required({
    type: "list",
    length: [1, 7],
    member: oneOf(...shardLevelMetrics, "ALL"),
  }),
};

/**
 * The members of each operation's request, with all constraints of the service's model; unknown
 * members are ignored, as the service does.
 */
export const inputShapes: Readonly<Record<OperationName, Members>> = {
  AddTagsToStream: { ...byNameOrArn, ...tagsOf },
  CreateStream: {
    StreamName: required(streamName),
    ShardCount: integer(1),
    StreamModeDetails: { type: "structure", members: streamMode },
    Tags: tags,
    WarmThroughputMiBps: warmThroughput,
    MaxRecordSizeInKiB: maxRecordSize,
    RecordDistributionStrategy: distribution,
  },
  DecreaseStreamRetentionPeriod: retention,
  DeleteResourcePolicy: byResource,
  DeleteStream: { ...byNameOrArn, EnforceConsumerDeletion: boolean },
  DescribeAccountSettings: {},
  DescribeLimits: {},
  DescribeStream: { ...byNameOrArn, Limit: limit, ExclusiveStartShardId: shardId },
  DescribeStreamSummary: byNameOrArn,
  DisableEnhancedMonitoring: monitoring,
  EnableEnhancedMonitoring: monitoring,
  GetRecords: {
    ...byArn,
    ShardIterator: required({ type: "string", length: [1, 512] }),
    Limit: limit,
    ...dryRun,
  },
  GetResourcePolicy: byResource,
  GetShardIterator: {
    ...byNameOrArn,
    ShardId: required(shardId),
    ShardIteratorType: required(
      oneOf(
        "AT_SEQUENCE_NUMBER",
        "AFTER_SEQUENCE_NUMBER",
        "TRIM_HORIZON",
        "LATEST",
        "AT_TIMESTAMP",
      ),
    ),
    StartingSequenceNumber: sequenceNumber,
    Timestamp: timestamp,
    ...dryRun,
  },
  IncreaseStreamRetentionPeriod: retention,
  ListShards: {
    ...byNameOrArn,
    NextToken: token,
    ExclusiveStartShardId: shardId,
    MaxResults: limit,
    StreamCreationTimestamp: timestamp,
    ShardFilter: {
      type: "structure",
      members: {
        Type: required(
          oneOf(
            "AFTER_SHARD_ID",
            "AT_TRIM_HORIZON",
            "FROM_TRIM_HORIZON",
            "AT_LATEST",
            "AT_TIMESTAMP",
            "FROM_TIMESTAMP",
          ),
        ),
        ShardId: shardId,
        Timestamp: timestamp,
      },
    },
  },
  ListStreams: { Limit: limit, ExclusiveStartStreamName: streamName, NextToken: token },
  ListTagsForResource: byResource,
  ListTagsForStream: { ...byNameOrArn, ExclusiveStartTagKey: tagKey, Limit: integer(1, 50) },
  MergeShards: {
    ...byNameOrArn,
    ShardToMerge: required(shardId),
    AdjacentShardToMerge: required(shardId),
  },
  PutRecord: {
    ...byNameOrArn,
    ...record,
    SequenceNumberForOrdering: sequenceNumber,
    ...dryRun,
  },
  PutRecords: {
    ...byNameOrArn,
    Records: required({
      type: "list",
      length: [1, 500],
      member: { type: "structure", members: record },
    }),
    ...dryRun,
  },
  PutResourcePolicy: { ...byResource, Policy: required({ type: "string" }) },
  RemoveTagsFromStream: { ...byNameOrArn, ...tagKeysOf },
  SplitShard: {
    ...byNameOrArn,
    ShardToSplit: required(shardId),
    NewStartingHashKey: required(hashKey),
  },
  StartStreamEncryption: encryption,
  StopStreamEncryption: encryption,
  TagResource: { ...byResource, ...tagsOf },
  UntagResource: { ...byResource, ...tagKeysOf },
  UpdateAccountSettings: {
    MinimumThroughputBillingCommitment: required({
      type: "structure",
      members: { Status: required(oneOf("ENABLED", "DISABLED")) },
    }),
  },
  UpdateMaxRecordSize: { ...byArn, MaxRecordSizeInKiB: required(maxRecordSize) },
  UpdateShardCount: {
    ...byNameOrArn,
    TargetShardCount: required(integer(1)),
    ScalingType: required(oneOf("UNIFORM_SCALING")),
  },
  UpdateStreamMode: {
    ...byArn,
    StreamARN: required(streamArn),
    StreamModeDetails: required({ type: "structure", members: streamMode }),
    WarmThroughputMiBps: warmThroughput,
  },
  UpdateStreamRecordDistributionStrategy: {
    ...byArn,
    StreamARN: required(streamArn),
    RecordDistributionStrategy: required(distribution),
  },
  UpdateStreamWarmThroughput: { ...byNameOrArn, WarmThroughputMiBps: required(warmThroughput) },
};
