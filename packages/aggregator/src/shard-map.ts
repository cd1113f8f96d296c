import { createHash } from "node:crypto";
import { HASH_KEYS, type UserRecord } from "./user-record.ts";

/** The part of a ListShards entry that is used. */
export interface ListedShard {
  readonly ShardId?: string | undefined;
  readonly HashKeyRange?:
    | {
        readonly StartingHashKey?: string | undefined;
        readonly EndingHashKey?: string | undefined;
      }
    | undefined;
  readonly SequenceNumberRange?:
    | { readonly EndingSequenceNumber?: string | null | undefined }
    | undefined;
}

interface Range {
  readonly shardId: string;
  readonly start: bigint;
  readonly end: bigint;
}

/** Maps hash keys to the shards of a listing. */
export class ShardMap {
  /** The open shards, ordered by hash keys. */
  readonly #open: readonly Range[];
  readonly #byId: ReadonlyMap<string, Range>;

  /** @throws TypeError for a shard without id or hash keys */
  constructor(shards: readonly ListedShard[]) {
    const ranges = new Map(shards.map((shard) => [shard, rangeOf(shard)]));
    this.#byId = new Map([...ranges.values()].map((range) => [range.shardId, range]));
    this.#open = [...ranges]
      .filter(([{ SequenceNumberRange }]) => !SequenceNumberRange?.EndingSequenceNumber)
      .map(([, range]) => range)
      .toSorted((a, b) => (a.start < b.start ? -1 : 1));
  }

  /** The id of the open shard that contains the hash key; undefined = none. */
  shardOf(hashKey: bigint): string | undefined {
    let low = 0;
    let high = this.#open.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#open[middle]!.end < hashKey) low = middle + 1;
      else high = middle;
    }
    const range = this.#open[low];
    return range !== undefined && range.start <= hashKey ? range.shardId : undefined;
  }

  /** True if there is an open shard for every hash key. */
  get hasAllHashKeys(): boolean {
    let next = 0n;
    for (const { start, end } of this.#open) {
      if (start > next) return false;
      if (end >= next) next = end + 1n;
    }
    return next === HASH_KEYS;
  }

  /** True if the listing contains the shard. */
  names(shardId: string): boolean {
    return this.#byId.has(shardId);
  }

  /** True if the hash key belongs to this shard of the listing. */
  has(shardId: string, hashKey: bigint): boolean {
    const range = this.#byId.get(shardId);
    return range !== undefined && range.start <= hashKey && hashKey <= range.end;
  }
}

/** The hash key of a record: the explicit one, or the MD5 of its partition key. */
export function hashKeyOf({ partitionKey, explicitHashKey }: UserRecord): bigint {
  if (explicitHashKey !== undefined) return BigInt(explicitHashKey);
  return BigInt(`0x${createHash("md5").update(partitionKey).digest("hex")}`);
}

function rangeOf({ ShardId, HashKeyRange }: ListedShard): Range {
  const { StartingHashKey: start, EndingHashKey: end } = HashKeyRange ?? {};
  if (!ShardId || !start || !end) {
    throw new TypeError(
      "a shard of the listing has no id, or no hash keys: is it one of ListShards?",
    );
  }
  return { shardId: ShardId, start: BigInt(start), end: BigInt(end) };
}
