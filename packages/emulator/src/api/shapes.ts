/** The constraints of one member of a request. */
export type Shape = { readonly required?: true } & (
  | { readonly type: "string"; readonly length?: Bounds; readonly pattern?: string }
  | { readonly type: "enum"; readonly values: readonly string[] }
  | { readonly type: "integer"; readonly range: Bounds }
  | { readonly type: "boolean" }
  | { readonly type: "blob"; readonly length: Bounds }
  | { readonly type: "timestamp" }
  | { readonly type: "list"; readonly length: Bounds; readonly member: Shape }
  | { readonly type: "map"; readonly length: Bounds; readonly key: Shape; readonly value: Shape }
  | { readonly type: "structure"; readonly members: Members }
);
export type Members = Readonly<Record<string, Shape>>;
/** Minimum and maximum, both included. */
export type Bounds = readonly [number, number];

/** The largest 32-bit integer: the service's integers have 32 bits. */
export const MAX_INTEGER: number = 2 ** 31 - 1;

const NAME = "[a-zA-Z0-9_.-]+";

export const required = (shape: Shape): Shape => ({ ...shape, required: true });
export const integer = (least: number, most: number = MAX_INTEGER): Shape => ({
  type: "integer",
  range: [least, most],
});
export const oneOf = (...values: string[]): Shape => ({ type: "enum", values });

export const boolean: Shape = { type: "boolean" };
export const timestamp: Shape = { type: "timestamp" };
export const limit: Shape = integer(1, 10_000);
export const anyInteger: Shape = integer(-MAX_INTEGER - 1);
export const hashKey: Shape = { type: "string", pattern: "^(0|([1-9]\\d{0,38}))$" };
export const sequenceNumber: Shape = { type: "string", pattern: "^(0|([1-9]\\d{0,128}))$" };
export const shardId: Shape = { type: "string", pattern: NAME, length: [1, 128] };
export const streamName: Shape = { type: "string", pattern: NAME, length: [1, 128] };
export const token: Shape = { type: "string", length: [1, 1_048_576] };
export const keyId: Shape = { type: "string", length: [1, 2048] };
export const tagKey: Shape = { type: "string", length: [1, 128] };
export const tags: Shape = {
  type: "map",
  length: [1, 200],
  key: tagKey,
  value: { type: "string", length: [0, 256] },
};
export const tagKeys: Shape = { type: "list", length: [1, 50], member: tagKey };

export const streamArn: Shape = {
  type: "string",
  pattern: "arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
  length: [1, 2048],
};
const resourceArn: Shape = {
  type: "string",
  pattern: "arn:aws.*:kinesis:.*:\\d{12}:.*(stream|channel|queue)/\\S+",
  length: [1, 2048],
};
/** Reserved by the service for future use, and ignored. */
const streamId: Shape = { type: "string", pattern: "[a-z0-9]{20}-[a-z0-9]{3}", length: [1, 24] };

/** A stream by its ARN only. */
export const byArn: Members = { StreamARN: streamArn, StreamId: streamId };
/** A stream by its name or ARN, as in most operations. */
export const byNameOrArn: Members = { StreamName: streamName, ...byArn };
/** A stream, or a resource of one. */
export const byResource: Members = { ResourceARN: required(resourceArn), StreamId: streamId };

/** Only checks the request. */
export const dryRun: Members = { DryRun: boolean };

export const record: Members = {
  Data: required({ type: "blob", length: [0, 10_485_760] }),
  PartitionKey: { type: "string", length: [1, 256] },
  ExplicitHashKey: hashKey,
};

export const shardLevelMetrics: readonly string[] = [
  "IncomingBytes",
  "IncomingRecords",
  "OutgoingBytes",
  "OutgoingRecords",
  "WriteProvisionedThroughputExceeded",
  "ReadProvisionedThroughputExceeded",
  "IteratorAgeMilliseconds",
];
