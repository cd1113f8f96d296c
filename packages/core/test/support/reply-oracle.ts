/** What a reply about a stream has to be, written apart from the code that reads it. */
type Members = Readonly<Record<string, unknown>>;

const SHARD_ID = /^[\w.-]{1,128}$/;
const NUMBER = /^[0-9]{1,129}$/;
const HASH_KEY = /^[0-9]{1,39}$/;

export interface ExpectedShard {
  readonly shardId: string;
  readonly parents: readonly string[];
  readonly closed: boolean;
  readonly keys: readonly [start: string, end: string] | undefined;
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === "";
const isText = (value: unknown, pattern: RegExp): value is string =>
  typeof value === "string" && pattern.test(value);
const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One of the pages of ListShards, without regard to the others. */
export function isSoundPage({ Shards, NextToken }: Members): boolean {
  const isToken = isAbsent(NextToken) || isText(NextToken, /^[^]{1,1048576}$/);
  return isToken && Array.isArray(Shards) && Shards.every(isSoundShard);
}

function isSoundShard(shard: unknown): boolean {
  if (!isMembers(shard)) return false;
  const { ShardId, SequenceNumberRange, ParentShards } = shard;
  const parents = [shard["ParentShardId"], shard["AdjacentParentShardId"]];
  return (
    isText(ShardId, SHARD_ID) &&
    isAbsent(ParentShards) &&
    parents.every((id) => isAbsent(id) || isText(id, SHARD_ID)) &&
    isSoundRange(SequenceNumberRange)
  );
}

function isSoundRange(range: unknown): boolean {
  if (range === undefined || range === null) return true;
  if (!isMembers(range)) return false;
  const { StartingSequenceNumber: start, EndingSequenceNumber: end } = range;
  return [start, end].every((one) => isAbsent(one) || isText(one, NUMBER));
}

/**
 * What a listing of these replies comes to, each an answer to the call after the last sound one;
 * undefined = it does not come to an end.
 */
export function expectedListing(replies: readonly Members[]): ExpectedShard[] | undefined {
  const shards = new Map<string, ExpectedShard>();
  const tokens = new Set<unknown>();
  for (const reply of replies) {
    const { NextToken } = reply;
    if (!isSoundPage(reply) || tokens.has(NextToken)) continue;
    const more = (reply["Shards"] as Members[]).map(expectedShard);
    const all = new Map([...shards, ...more.map((one) => [one.shardId, one] as const)]);
    if (isAbsent(NextToken) && isCircular(all)) continue;
    for (const one of more) shards.set(one.shardId, one);
    if (isAbsent(NextToken)) return [...shards.values()];
    tokens.add(NextToken);
  }
  return undefined;
}

function expectedShard(shard: Members): ExpectedShard {
  const { SequenceNumberRange: range, ShardId } = shard;
  return {
    shardId: String(ShardId),
    parents: [shard["ParentShardId"], shard["AdjacentParentShardId"]].filter(
      (id): id is string => !isAbsent(id),
    ),
    keys: hashKeys(shard["HashKeyRange"]),
    closed: isMembers(range) && !isAbsent(range["EndingSequenceNumber"]),
  };
}

/** A shard whose range is malformed has none, as where an emulator leaves it out. */
function hashKeys(range: unknown): ExpectedShard["keys"] {
  if (!isMembers(range)) return undefined;
  const { StartingHashKey: start, EndingHashKey: end } = range;
  if (!isText(start, HASH_KEY) || !isText(end, HASH_KEY)) return undefined;
  return BigInt(start) <= BigInt(end) ? [start, end] : undefined;
}

/** Takes away whatever waits for nothing that is there; what is left waits for itself. */
function isCircular(shards: ReadonlyMap<string, ExpectedShard>): boolean {
  const left = new Map(shards);
  for (;;) {
    const free = [...left.values()].filter(({ parents }) => !parents.some((id) => left.has(id)));
    if (free.length === 0) return left.size > 0;
    for (const { shardId } of free) left.delete(shardId);
  }
}

/** A reply of DescribeStreamSummary. */
export function isSoundSummary({ StreamDescriptionSummary: summary }: Members): boolean {
  if (!isMembers(summary)) return false;
  const { StreamARN, StreamCreationTimestamp: at } = summary;
  const isTime = isAbsent(at) || (at instanceof Date && !Number.isNaN(at.getTime()));
  return isTime && at !== "" && (isAbsent(StreamARN) || isText(StreamARN, /^[!-~]{1,2048}$/));
}
