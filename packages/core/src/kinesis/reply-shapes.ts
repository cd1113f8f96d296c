import type { Shard } from "./shard.ts";
import { shardInCycle } from "./shard-cycle.ts";

/**
 * What a reply has to look like before anything is made of it, pure. An endpoint that answers `{}`
 * is not a stream without shards, and a child without an id is no shard.
 */

/** A reply that Kinesis does not give. Its cause is not known, so it is tried again for a limited time. */
export class UnexpectedReplyError extends Error {
  override readonly name = "UnexpectedReplyError";
}

/** The entries of one page of ListShards. @throws UnexpectedReplyError */
export function listedShards<T>(shards: readonly T[] | null | undefined): readonly T[] {
  if (Array.isArray(shards) && shards.every(isShard)) return shards as readonly T[];
  throw new UnexpectedReplyError(
    "the reply of ListShards names no shards: is the endpoint that of Kinesis?",
  );
}

/** @throws UnexpectedReplyError for a complete listing in which a shard waits for itself */
export function refuseCycle(listing: readonly Shard[]): void {
  const parents = listing.map(({ shardId, parentShardIds }) => [shardId, parentShardIds] as const);
  if (shardInCycle(new Map(parents)) === undefined) return;
  throw new UnexpectedReplyError(
    "ListShards names a shard among its own ancestors: is the endpoint that of Kinesis?",
  );
}

/** More pages than any stream has: 1,000 shards are on each. */
const MOST_PAGES = 1000;
/** Characters of a token. */
const MOST_TOKEN = 1_048_576;

/**
 * The token of a listing's next page; undefined = this was the last page.
 * @param earlier the tokens of the pages until now
 * @throws UnexpectedReplyError for a listing without an end
 */
export function nextToken(token: unknown, earlier: ReadonlySet<string>): string | undefined {
  if (isAbsent(token)) return undefined;
  if (typeof token !== "string" || token.length > MOST_TOKEN) {
    throw new UnexpectedReplyError(
      "the reply of ListShards has a malformed token: is the endpoint that of Kinesis?",
    );
  }
  if (!earlier.has(token) && earlier.size < MOST_PAGES) return token;
  throw new UnexpectedReplyError(
    "ListShards names one page after another without an end: is the endpoint that of Kinesis?",
  );
}

const SEQUENCE_NUMBER = /^\d{1,129}$/;

/** The records that somebody else has decoded. @throws UnexpectedReplyError: a checkpoint is a number */
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

/** What a reply of GetRecords says beside its records. */
interface RecordsReplyShape {
  readonly NextShardIterator?: string | null | undefined;
  readonly MillisBehindLatest?: unknown;
  readonly ChildShards?: unknown;
}

/**
 * Where reading goes on; undefined = the shard is closed, and this was its last page.
 * @param records how many the reply brought
 * @throws UnexpectedReplyError for an empty iterator, and for a reply that says nothing at all
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
 * The description of a stream. Some emulators leave out its ARN, or its time.
 * @throws UnexpectedReplyError
 */
export function streamSummary<T extends Summary>(summary: T | null | undefined): T {
  const { StreamARN: arn, StreamCreationTimestamp: time } = summary ?? {};
  const isSound =
    isObject(summary) &&
    (isAbsent(arn) || (typeof arn === "string" && STREAM_ARN.test(arn))) &&
    ((time ?? undefined) === undefined || (time instanceof Date && !Number.isNaN(time.getTime())));
  if (isSound) return summary;
  throw new UnexpectedReplyError(
    "the reply of DescribeStreamSummary describes no stream: is the endpoint that of Kinesis?",
  );
}

/** The children in a last page; none, so that a listing is asked, if one of them is malformed. */
export function announcedShards<T>(children: readonly T[] | null | undefined): readonly T[] {
  return Array.isArray(children) && children.every(isShard) ? (children as readonly T[]) : [];
}

/** A lag in milliseconds; 0 if the reply has none. */
export function lagOf(millisBehindLatest: unknown): number {
  const isLag = typeof millisBehindLatest === "number" && millisBehindLatest >= 0;
  return isLag && millisBehindLatest < Infinity ? millisBehindLatest : 0;
}

/** Printable: an ARN stands in log lines, messages and rows as it is. */
const STREAM_ARN = /^[\x21-\x7e]{1,2048}$/;
/** The service's own pattern. An id stands in log lines, messages, metrics and rows as it is. */
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

/** None may be an empty text, or null. */
function isParent(id: unknown): boolean {
  return isAbsent(id) || isShardId(id);
}

/** Either end may be absent. Their order is not checked: kinesis-local ends closed shards at 2^63 - 1. */
function isSequenceNumberRange(range: unknown): boolean {
  if (range === undefined || range === null) return true;
  if (!isObject(range)) return false;
  const { StartingSequenceNumber: first, EndingSequenceNumber: last } = range;
  return [first, last].every(
    (end) => isAbsent(end) || (typeof end === "string" && SEQUENCE_NUMBER.test(end)),
  );
}

/** Some emulators write what is absent as null, or as an empty text. */
function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
