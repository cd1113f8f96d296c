import type {
  CreateStreamInput,
  DecreaseStreamRetentionPeriodInput,
  DeleteStreamInput,
  DescribeStreamInput,
  DescribeStreamOutput,
  DescribeStreamSummaryInput,
  DescribeStreamSummaryOutput,
  GetRecordsInput,
  GetRecordsOutput,
  GetShardIteratorInput,
  GetShardIteratorOutput,
  IncreaseStreamRetentionPeriodInput,
  ListShardsInput,
  ListShardsOutput,
  ListStreamsInput,
  ListStreamsOutput,
  MergeShardsInput,
  PutRecordInput,
  PutRecordOutput,
  PutRecordsInput,
  PutRecordsOutput,
  SplitShardInput,
  UpdateShardCountInput,
  UpdateShardCountOutput,
} from "@aws-sdk/client-kinesis";

/** An operation's reply when it has nothing to say. */
export type Empty = Record<string, never>;

/** What each operation takes and gives, in the SDK's own shapes. */
export interface OperationTypes {
  CreateStream: { input: CreateStreamInput; output: Empty };
  DecreaseStreamRetentionPeriod: { input: DecreaseStreamRetentionPeriodInput; output: Empty };
  DeleteStream: { input: DeleteStreamInput; output: Empty };
  DescribeStream: { input: DescribeStreamInput; output: DescribeStreamOutput };
  DescribeStreamSummary: { input: DescribeStreamSummaryInput; output: DescribeStreamSummaryOutput };
  GetRecords: { input: GetRecordsInput; output: GetRecordsOutput };
  GetShardIterator: { input: GetShardIteratorInput; output: GetShardIteratorOutput };
  IncreaseStreamRetentionPeriod: { input: IncreaseStreamRetentionPeriodInput; output: Empty };
  ListShards: { input: ListShardsInput; output: ListShardsOutput };
  ListStreams: { input: ListStreamsInput; output: ListStreamsOutput };
  MergeShards: { input: MergeShardsInput; output: Empty };
  PutRecord: { input: PutRecordInput; output: PutRecordOutput };
  PutRecords: { input: PutRecordsInput; output: PutRecordsOutput };
  SplitShard: { input: SplitShardInput; output: Empty };
  UpdateShardCount: { input: UpdateShardCountInput; output: UpdateShardCountOutput };
}

/** The operations that the emulator knows, by the service's names. */
export type OperationName = keyof OperationTypes;

export type Input<Name extends OperationName = OperationName> = OperationTypes[Name]["input"];
export type Output<Name extends OperationName = OperationName> = OperationTypes[Name]["output"];
