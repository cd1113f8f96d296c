import type { Input, OperationName, Output } from "../api/operation-types.ts";
import type { Model } from "../model/model.ts";
import { describeAccountSettings, describeLimits, updateAccountSettings } from "./account.ts";
import { createStream, deleteStream } from "./create-stream.ts";
import { describeStream, describeStreamSummary, listStreams } from "./describe-stream.ts";
import { startStreamEncryption, stopStreamEncryption } from "./encryption.ts";
import { getRecords } from "./get-records.ts";
import { getShardIterator } from "./get-shard-iterator.ts";
import { listShards } from "./list-shards.ts";
import { disableEnhancedMonitoring, enableEnhancedMonitoring } from "./monitoring.ts";
import { putRecord, putRecords } from "./put-records.ts";
import { mergeShards, splitShard, updateShardCount } from "./resharding.ts";
import { deleteResourcePolicy, getResourcePolicy, putResourcePolicy } from "./resources.ts";
import { decreaseStreamRetentionPeriod, increaseStreamRetentionPeriod } from "./retention.ts";
import {
  updateMaxRecordSize,
  updateStreamMode,
  updateStreamRecordDistributionStrategy,
  updateStreamWarmThroughput,
} from "./stream-capacity.ts";
import {
  addTagsToStream,
  listTagsForResource,
  listTagsForStream,
  removeTagsFromStream,
  tagResource,
  untagResource,
} from "./tags.ts";

type Operations = {
  readonly [Name in OperationName]: (model: Model, input: Input<Name>) => Output<Name>;
};

/** All operations. Each is a synchronous change of the model. */
export const operations: Operations = {
  AddTagsToStream: addTagsToStream,
  CreateStream: createStream,
  DecreaseStreamRetentionPeriod: decreaseStreamRetentionPeriod,
  DeleteResourcePolicy: deleteResourcePolicy,
  DeleteStream: deleteStream,
  DescribeAccountSettings: describeAccountSettings,
  DescribeLimits: describeLimits,
  DescribeStream: describeStream,
  DescribeStreamSummary: describeStreamSummary,
  DisableEnhancedMonitoring: disableEnhancedMonitoring,
  EnableEnhancedMonitoring: enableEnhancedMonitoring,
  GetRecords: getRecords,
  GetResourcePolicy: getResourcePolicy,
  GetShardIterator: getShardIterator,
  IncreaseStreamRetentionPeriod: increaseStreamRetentionPeriod,
  ListShards: listShards,
  ListStreams: listStreams,
  ListTagsForResource: listTagsForResource,
  ListTagsForStream: listTagsForStream,
  MergeShards: mergeShards,
  PutRecord: putRecord,
  PutRecords: putRecords,
  PutResourcePolicy: putResourcePolicy,
  RemoveTagsFromStream: removeTagsFromStream,
  SplitShard: splitShard,
  StartStreamEncryption: startStreamEncryption,
  StopStreamEncryption: stopStreamEncryption,
  TagResource: tagResource,
  UntagResource: untagResource,
  UpdateAccountSettings: updateAccountSettings,
  UpdateMaxRecordSize: updateMaxRecordSize,
  UpdateShardCount: updateShardCount,
  UpdateStreamMode: updateStreamMode,
  UpdateStreamRecordDistributionStrategy: updateStreamRecordDistributionStrategy,
  UpdateStreamWarmThroughput: updateStreamWarmThroughput,
};

/** Operations of the service that the emulator does not support, with their feature. */
const refused: Readonly<Record<string, string>> = {
  DeregisterStreamConsumer: "enhanced fan-out",
  DescribeStreamConsumer: "enhanced fan-out",
  ListStreamConsumers: "enhanced fan-out",
  RegisterStreamConsumer: "enhanced fan-out",
  SubscribeToShard: "enhanced fan-out",
  CreateChannel: "channels",
  DeleteChannel: "channels",
  DescribeChannel: "channels",
  ListChannels: "channels",
  UpdateChannel: "channels",
  AcknowledgeDeadLetterQueueRecords: "queues",
  AcknowledgeQueueRecords: "queues",
  CreateQueue: "queues",
  DeleteQueue: "queues",
  DescribeQueue: "queues",
  ListQueues: "queues",
  ReceiveDeadLetterQueueRecords: "queues",
  ReceiveQueueRecords: "queues",
  RestoreDeadLetterQueueRecords: "queues",
  UpdateDeadLetterQueueRecordsVisibility: "queues",
  UpdateQueue: "queues",
  UpdateQueueRecordsVisibility: "queues",
};

export function isOperationName(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}

/** Explains why an operation is not supported. */
export function whyNotServed(name: string): string {
  return Object.hasOwn(refused, name)
    ? `${name} is not emulated (${refused[name]}).`
    : `Unknown operation '${name}'.`;
}
