import type { PutRecordsRequestEntry, PutRecordsResultEntry } from "@aws-sdk/client-kinesis";
import type { Input, Output } from "../api/operation-types.ts";
import { serviceError } from "../errors.ts";
import { HASH_KEYS, hashKeyOf } from "../model/hash-key.ts";
import type { Model } from "../model/model.ts";
import { parseSequenceNumber } from "../model/sequence-number.ts";
import type { Stream } from "../model/stream.ts";
import { endDryRun } from "./dry-run.ts";

/** Maximum size of all data and partition keys of a PutRecords request, in bytes. */
const MAX_REQUEST_SIZE = 10 * 1024 * 1024;

export function putRecord(model: Model, input: Input<"PutRecord">): Output<"PutRecord"> {
  const stream = writable(model, input);
  const ordering = input.SequenceNumberForOrdering;
  if (ordering !== undefined && stream.settings.distribution === "AUTO") {
    throw serviceError(
      "InvalidArgumentException",
      `SequenceNumberForOrdering is not supported on stream ${stream.name} under account ` +
        `${model.streams.account}: its record distribution strategy is AUTO.`,
    );
  }
  if (ordering !== undefined && parseSequenceNumber(ordering) === undefined) {
    throw serviceError(
      "InvalidArgumentException",
      `ExclusiveMinimumSequenceNumber ${ordering} used in PutRecord on stream ${stream.name} ` +
        `under account ${model.streams.account} is invalid.`,
    );
  }
  const placed = place(stream, input);
  endDryRun(input);
  const result = write(model, stream, placed);
  if (result.SequenceNumber === undefined) {
    throw serviceError("ProvisionedThroughputExceededException", result.ErrorMessage);
  }
  return {
    ShardId: result.ShardId,
    SequenceNumber: result.SequenceNumber,
    ...encryptionType(stream),
  };
}

export function putRecords(model: Model, input: Input<"PutRecords">): Output<"PutRecords"> {
  const stream = writable(model, input);
  // All records are checked before any is written: one invalid record fails the whole request.
  const placed = input.Records!.map((entry) => place(stream, entry));
  if (placed.reduce((sum, record) => sum + record.size, 0) > MAX_REQUEST_SIZE) {
    throw serviceError("InvalidArgumentException", "Records size exceeds 10 MB limit");
  }
  endDryRun(input);
  const results = placed.map((record) => write(model, stream, record));
  return {
    FailedRecordCount: results.filter((result) => result.ErrorCode !== undefined).length,
    Records: results,
    ...encryptionType(stream),
  };
}

interface PlacedRecord {
  readonly partitionKey: string | undefined;
  readonly data: Uint8Array;
  readonly size: number;
  /** Undefined if records are not distributed by key. */
  readonly hashKey: bigint | undefined;
}

/** The stream, if it accepts records: ACTIVE or UPDATING. Otherwise the service reports it as not found. */
function writable({ streams }: Model, input: Input<"PutRecord" | "PutRecords">): Stream {
  const stream = streams.find(input);
  if (stream.status === "ACTIVE" || stream.status === "UPDATING") return stream;
  const message = `Stream ${stream.name} under account ${streams.account} not found.`;
  throw serviceError("ResourceNotFoundException", message);
}

function place(stream: Stream, entry: PutRecordsRequestEntry): PlacedRecord {
  const partitionKey = entry.PartitionKey;
  const data = entry.Data!;
  const { maxRecordSize, distribution } = stream.settings;
  if (data.length > maxRecordSize) {
    throw serviceError(
      "ValidationException",
      "1 validation error detected: Value at 'data' failed to satisfy constraint: " +
        `Member must have length less than or equal to ${maxRecordSize}`,
    );
  }
  const size = data.length + (partitionKey === undefined ? 0 : Buffer.byteLength(partitionKey));
  if (size > maxRecordSize) {
    throw invalid(
      `The record's data of ${data.length} bytes and partition key of ${size - data.length} bytes ` +
        `exceed the maximum record size of ${maxRecordSize} bytes of stream ${stream.name}.`,
    );
  }
  if (distribution === "AUTO") return { partitionKey, data, size, hashKey: undefined };
  if (partitionKey === undefined) {
    throw serviceError(
      "ValidationException",
      "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: " +
        "Member must not be null",
    );
  }
  const explicit = entry.ExplicitHashKey;
  const hashKey = explicit === undefined ? hashKeyOf(partitionKey) : BigInt(explicit);
  if (hashKey >= HASH_KEYS) {
    throw invalid(
      "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. " +
        `Specified value was ${explicit}`,
    );
  }
  return { partitionKey, data, size, hashKey };
}

function write(model: Model, stream: Stream, record: PlacedRecord): PutRecordsResultEntry {
  const shard =
    record.hashKey === undefined ? stream.open.next() : stream.open.route(record.hashKey);
  if (!shard.quotas.admitWrite(record.size, model.clock.monotonic())) {
    return {
      ErrorCode: "ProvisionedThroughputExceededException",
      ErrorMessage:
        `Rate exceeded for shard ${shard.id} in stream ${stream.name} ` +
        `under account ${model.streams.account}.`,
    };
  }
  const now = model.streams.now();
  shard.trim(stream.horizon(now));
  const { partitionKey, data, size } = record;
  const encrypted = stream.settings.keyId !== undefined;
  const stored = shard.append({ partitionKey, data, size, encrypted }, now);
  return { ShardId: shard.id, SequenceNumber: stored.sequenceNumber };
}

/** Present only if the stream is encrypted, as in the service. */
function encryptionType(stream: Stream): { EncryptionType?: "KMS" } {
  return stream.settings.keyId === undefined ? {} : { EncryptionType: "KMS" };
}

function invalid(message: string): Error {
  return serviceError("InvalidArgumentException", message);
}
