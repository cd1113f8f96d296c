import type { Shard } from "./shard.ts";
import { shardInCycle } from "./shard-cycle.ts";

/**
 * Validates replies before they are used. Pure. An endpoint that answers `{}` is not a stream without
 * shards, and a child without an id is not a shard.
 */

/** A reply that Kinesis never sends. Its cause is unknown, so the call is retried for a limited time. */
export class UnexpectedReplyError extends Error {
  override readonly name = "UnexpectedReplyError";
}

/** Returns the entries of one page of ListShards. @throws UnexpectedReplyError */
export function listedShards<T>(shards: readonly T[] | null | undefined): readonly T[] {
  if (Array.isArray(shards) && shards.every(isShard)) return shards as readonly T[];
  throw new UnexpectedReplyError(
    "the reply of ListShards names no shards: is the endpoint that of Kinesis?",
  );
}

/** @throws UnexpectedReplyError if a shard in a complete listing is its own ancestor */
export function refuseCycle(listing: readonly Shard[]): void {
  const parents = listing.map(({ shardId, parentShardIds }) => [shardId, parentShardIds] as const);
  if (shardInCycle(new Map(parents)) === undefined) return;
  throw new UnexpectedReplyError(
    "ListShards names a shard among its own ancestors: is the endpoint that of Kinesis?",
  );
}

/** More pages than any stream has: each page has 1,000 shards. */
const MAX_PAGES = 1000;
/** The maximum length of a token, in characters. */
const MAX_TOKEN_LENGTH = 1_048_576;

/**
 * Returns the token of a listing's next page; `undefined` after the last page.
 * @param earlier the tokens of the earlier pages
 * @throws UnexpectedReplyError if the listing has no end
 */
export function nextToken(token: unknown, earlier: ReadonlySet<string>): string | undefined {
  if (isAbsent(token)) return undefined;
  if (typeof token !== "string" || token.length > MAX_TOKEN_LENGTH) {
    throw new UnexpectedReplyError(
      "the reply of ListShards has a malformed token: is the endpoint that of Kinesis?",
    );
  }
  if (!earlier.has(token) && earlier.size < MAX_PAGES) return token;
  throw new UnexpectedReplyError(
    "ListShards names one page after another without an end: is the endpoint that of Kinesis?",
  );
}

const SEQUENCE_NUMBER = /^\d{1,129}$/;

/** Checks records that the client has decoded. @throws UnexpectedReplyError if one has no sequence number */
export function numberedRecords<T extends { readonly SequenceNumber?: string | undefined }>(
  records: readonly T[] | null | undefined,
): readonly T[] {
  const all = records ?? [];
  const isNumbered = (record: T | null): boolean =>
    SEQUENCE_NUMBER.test(record?.SequenceNumber ?? "");
  if (Array.isArray(all) && all.every(isNumbered)) return all;
  throw new UnexpectedReplyError(
    "a reply of GetRecords has a record without a sequence number: is the endpoint that of Kinesis?",
  );
}

/** The members of a GetRecords reply besides its records. */
interface RecordsReplyShape {
  readonly NextShardIterator?: string | null | undefined;
  readonly MillisBehindLatest?: unknown;
  readonly ChildShards?: unknown;
}

/**
 * Returns the iterator for the next page; `undefined` if the shard is closed and this is its last page.
 * @param records the number of records in the reply
 * @throws UnexpectedReplyError if the iterator is empty, or the reply has no members at all
 */
export function nextIterator(reply: RecordsReplyShape, records: number): string | undefined {
  const { NextShardIterator, MillisBehindLatest, ChildShards } = reply;
  const next = NextShardIterator ?? undefined;
  const saysNothing = records === 0 && (MillisBehindLatest ?? ChildShards ?? next) === undefined;
  if (next !== "" && !saysNothing) return next;
  throw new UnexpectedReplyError(
    next === ""
      ? "the reply of GetRecords has an empty iterator: is the endpoint that of Kinesis?"
      : "the reply of GetRecords says nothing: is the endpoint that of Kinesis?",
  );
}

interface Summary {
  readonly StreamARN?: string | null | undefined;
  readonly StreamCreationTimestamp?: Date | null | undefined;
}

/**
 * Checks the description of a stream. Some emulators leave out its ARN or its creation time.
 * @throws UnexpectedReplyError
 */
export function streamSummary<T extends Summary>(summary: T | null | undefined): T {
  const { StreamARN: arn, StreamCreationTimestamp: time } = summary ?? {};
  const isValid =
    isObject(summary) &&
    (isAbsent(arn) || (typeof arn === "string" && STREAM_ARN.test(arn))) &&
    ((time ?? undefined) === undefined || (time instanceof Date && !Number.isNaN(time.getTime())));
  if (isValid) return summary;
  throw new UnexpectedReplyError(
    "the reply of DescribeStreamSummary describes no stream: is the endpoint that of Kinesis?",
  );
}

/** Returns the child shards in a last page. Returns none if one is malformed; then the shards are listed. */
export function announcedShards<T>(children: readonly T[] | null | undefined): readonly T[] {
  return Array.isArray(children) && children.every(isShard) ? (children as readonly T[]) : [];
}

/** Returns the lag in milliseconds; 0 if the reply has none. */
export function lagOf(millisBehindLatest: unknown): number {
  const isLag = typeof millisBehindLatest === "number" && millisBehindLatest >= 0;
  return isLag && millisBehindLatest < Infinity ? millisBehindLatest : 0;
}

/** Printable characters: the ARN is written to log lines, messages and rows without escaping. */
const STREAM_ARN = /^[\x21-\x7e]{1,2048}$/;
/** The service's own pattern. The id is written to log lines, messages, metrics and rows without escaping. */
const SHARD_ID = /^[\w.-]{1,128}$/;

function isShard(shard: unknown): boolean {
  if (!isObject(shard)) return false;
  const { ShardId, ParentShardId, AdjacentParentShardId, ParentShards } = shard;
  const parents = ParentShards ?? [];
  return (
    isShardId(ShardId) &&
    Array.isArray(parents) &&
    parents.every((id) => id !== ShardId) &&
    [ParentShardId, AdjacentParentShardId, ...(parents as unknown[])].every(isParent) &&
    isSequenceNumberRange(shard["SequenceNumberRange"])
  );
}

function isShardId(id: unknown): boolean {
  return typeof id === "string" && SHARD_ID.test(id);
}

/** An absent parent may be an empty string or null. */
function isParent(id: unknown): boolean {
  return isAbsent(id) || isShardId(id);
}

/** Either end may be absent. The order is not checked: kinesis-local ends closed shards at 2^63 - 1. */
function isSequenceNumberRange(range: unknown): boolean {
  if (range === undefined || range === null) return true;
  if (!isObject(range)) return false;
  const { StartingSequenceNumber: first, EndingSequenceNumber: last } = range;
  return [first, last].every(
    (end) => isAbsent(end) || (typeof end === "string" && SEQUENCE_NUMBER.test(end)),
  );
}

/** Some emulators write absent members as null or as an empty string. */
function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
