import {
  PutRecordsCommand,
  type PutRecordsOutput,
  type PutRecordsRequestEntry,
} from "@aws-sdk/client-kinesis";
import type { StreamRecord } from "./aggregate.ts";

/** The part of the SDK's `KinesisClient` that the aggregator uses. */
export interface KinesisClientLike {
  // The SDK's `send` is overloaded for each command; its callers below name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}

/** How a stream is named in requests. */
export type StreamId = { readonly StreamName: string } | { readonly StreamARN: string };

const MIB = 1024 * 1024;
/** Limits of one request. */
const MAX_RECORDS = 500;
const MAX_BYTES = 5 * MIB;

/** The outcome of a stream record: the shard that accepted it, or the error. */
export type PutOutcome =
  | { readonly shardId: string }
  | { readonly errorCode: string; readonly errorMessage: string };

/** The first of these records that fit into one request, at least one. */
export function firstRequest(waiting: readonly StreamRecord[]): readonly StreamRecord[] {
  let bytes = 0;
  let count = 0;
  for (const { entry } of waiting) {
    bytes += entryBytes(entry);
    if (count === MAX_RECORDS || (bytes > MAX_BYTES && count > 0)) break;
    count += 1;
  }
  return waiting.slice(0, count);
}

/** Calls PutRecords, and returns the outcome of each record. @throws what the client throws */
export async function putRecords(
  client: KinesisClientLike,
  stream: StreamId,
  records: readonly StreamRecord[],
  signal: AbortSignal | undefined,
): Promise<readonly PutOutcome[]> {
  const command = new PutRecordsCommand({ ...stream, Records: records.map(({ entry }) => entry) });
  const output: PutRecordsOutput = await client.send(
    command,
    signal ? { abortSignal: signal } : {},
  );
  const results = output.Records ?? [];
  if (results.length !== records.length) {
    throw new Error(`PutRecords answered ${results.length} results for ${records.length} records`);
  }
  return results.map(({ ShardId, ErrorCode, ErrorMessage }) =>
    ErrorCode
      ? { errorCode: ErrorCode, errorMessage: ErrorMessage ?? "" }
      : { shardId: ShardId ?? "" },
  );
}

/** The size that the service counts: data and partition key. */
function entryBytes({ Data, PartitionKey }: PutRecordsRequestEntry): number {
  return (Data?.byteLength ?? 0) + Buffer.byteLength(PartitionKey ?? "");
}
