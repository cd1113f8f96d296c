import type * as sdk from "@aws-sdk/client-kinesis";

/** The output of an operation without members. */
export type Empty = Record<string, never>;

/** Input and output of each operation, as the SDK's types. */
export interface OperationTypes {
  AddTagsToStream: { input: sdk.AddTagsToStreamInput; output: Empty };
  CreateStream: { input: sdk.CreateStreamInput; output: Empty };
  DecreaseStreamRetentionPeriod: { input: sdk.DecreaseStreamRetentionPeriodInput; output: Empty };
  DeleteResourcePolicy: { input: sdk.DeleteResourcePolicyInput; output: Empty };
  DeleteStream: { input: sdk.DeleteStreamInput; output: Empty };
  DescribeAccountSettings: {
    input: sdk.DescribeAccountSettingsInput;
    output: sdk.DescribeAccountSettingsOutput;
  };
  DescribeLimits: { input: sdk.DescribeLimitsInput; output: sdk.DescribeLimitsOutput };
  DescribeStream: { input: sdk.DescribeStreamInput; output: sdk.DescribeStreamOutput };
  DescribeStreamSummary: {
    input: sdk.DescribeStreamSummaryInput;
    output: sdk.DescribeStreamSummaryOutput;
  };
  DisableEnhancedMonitoring: {
    input: sdk.DisableEnhancedMonitoringInput;
    output: sdk.EnhancedMonitoringOutput;
  };
  EnableEnhancedMonitoring: {
    input: sdk.EnableEnhancedMonitoringInput;
    output: sdk.EnhancedMonitoringOutput;
  };
  GetRecords: { input: sdk.GetRecordsInput; output: sdk.GetRecordsOutput };
  GetResourcePolicy: { input: sdk.GetResourcePolicyInput; output: sdk.GetResourcePolicyOutput };
  GetShardIterator: { input: sdk.GetShardIteratorInput; output: sdk.GetShardIteratorOutput };
  IncreaseStreamRetentionPeriod: { input: sdk.IncreaseStreamRetentionPeriodInput; output: Empty };
  ListShards: { input: sdk.ListShardsInput; output: sdk.ListShardsOutput };
  ListStreams: { input: sdk.ListStreamsInput; output: sdk.ListStreamsOutput };
  ListTagsForResource: {
    input: sdk.ListTagsForResourceInput;
    output: sdk.ListTagsForResourceOutput;
  };
  ListTagsForStream: { input: sdk.ListTagsForStreamInput; output: sdk.ListTagsForStreamOutput };
  MergeShards: { input: sdk.MergeShardsInput; output: Empty };
  PutRecord: { input: sdk.PutRecordInput; output: sdk.PutRecordOutput };
  PutRecords: { input: sdk.PutRecordsInput; output: sdk.PutRecordsOutput };
  PutResourcePolicy: { input: sdk.PutResourcePolicyInput; output: Empty };
  RemoveTagsFromStream: { input: sdk.RemoveTagsFromStreamInput; output: Empty };
  SplitShard: { input: sdk.SplitShardInput; output: Empty };
  StartStreamEncryption: { input: sdk.StartStreamEncryptionInput; output: Empty };
  StopStreamEncryption: { input: sdk.StopStreamEncryptionInput; output: Empty };
  TagResource: { input: sdk.TagResourceInput; output: Empty };
  UntagResource: { input: sdk.UntagResourceInput; output: Empty };
  UpdateAccountSettings: {
    input: sdk.UpdateAccountSettingsInput;
    output: sdk.UpdateAccountSettingsOutput;
  };
  UpdateMaxRecordSize: { input: sdk.UpdateMaxRecordSizeInput; output: Empty };
  UpdateShardCount: { input: sdk.UpdateShardCountInput; output: sdk.UpdateShardCountOutput };
  UpdateStreamMode: { input: sdk.UpdateStreamModeInput; output: Empty };
  UpdateStreamRecordDistributionStrategy: {
    input: sdk.UpdateStreamRecordDistributionStrategyInput;
    output: Empty;
  };
  UpdateStreamWarmThroughput: {
    input: sdk.UpdateStreamWarmThroughputInput;
    output: sdk.UpdateStreamWarmThroughputOutput;
  };
}

/** The names of the operations that the emulator supports. */
export type OperationName = keyof OperationTypes;

export type Input<Name extends OperationName = OperationName> = OperationTypes[Name]["input"];
export type Output<Name extends OperationName = OperationName> = OperationTypes[Name]["output"];
