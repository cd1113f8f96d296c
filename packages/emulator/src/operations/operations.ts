import type { Input, OperationName, Output } from "../api/operation-types.ts";
import type { Model } from "../model/model.ts";
import { getRecords } from "./get-records.ts";
import { getShardIterator } from "./get-shard-iterator.ts";
import { listShards } from "./list-shards.ts";
import { putRecord, putRecords } from "./put-records.ts";
import { mergeShards, splitShard, updateShardCount } from "./resharding.ts";
import {
  createStream,
  decreaseStreamRetentionPeriod,
  deleteStream,
  describeStream,
  describeStreamSummary,
  increaseStreamRetentionPeriod,
  listStreams,
} from "./streams.ts";

type Operations = {
  readonly [Name in OperationName]: (model: Model, input: Input<Name>) => Output<Name>;
};

/** Every operation: a synchronous step from one state of the model to the next. */
export const operations: Operations = {
  CreateStream: createStream,
  DecreaseStreamRetentionPeriod: decreaseStreamRetentionPeriod,
  DeleteStream: deleteStream,
  DescribeStream: describeStream,
  DescribeStreamSummary: describeStreamSummary,
  GetRecords: getRecords,
  GetShardIterator: getShardIterator,
  IncreaseStreamRetentionPeriod: increaseStreamRetentionPeriod,
  ListShards: listShards,
  ListStreams: listStreams,
  MergeShards: mergeShards,
  PutRecord: putRecord,
  PutRecords: putRecords,
  SplitShard: splitShard,
  UpdateShardCount: updateShardCount,
};

export function isOperationName(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}
