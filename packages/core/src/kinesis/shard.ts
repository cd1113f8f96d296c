import { isHashKeyRange, type HashKeyRange } from "./hash-key-range.ts";

/** A shard as the stream's listing describes it. */
export interface Shard {
  readonly shardId: string;
  /** None for a shard the stream was created with, one after a split, two after a merge. */
  readonly parentShardIds: readonly string[];
  /** A closed shard takes no more records; it has an end that can be read to. */
  readonly closed: boolean;
  /** Where its numbers begin. A page that announces a child does not say so. */
  readonly startingSequenceNumber?: string;
  /** Undefined where the service gives none (some emulators). */
  readonly hashKeyRange: HashKeyRange | undefined;
}

interface SdkShard {
  ShardId?: string | undefined;
  ParentShardId?: string | undefined;
  AdjacentParentShardId?: string | undefined;
  HashKeyRange?: SdkHashKeyRange | undefined;
  SequenceNumberRange?:
    | { StartingSequenceNumber?: string | undefined; EndingSequenceNumber?: string | undefined }
    | undefined;
}

interface SdkChildShard {
  ShardId?: string | undefined;
  ParentShards?: string[] | undefined;
  HashKeyRange?: SdkHashKeyRange | undefined;
}

interface SdkHashKeyRange {
  StartingHashKey?: string | undefined;
  EndingHashKey?: string | undefined;
}

/** From an entry of ListShards. */
export function fromListing(shard: SdkShard): Shard {
  const { StartingSequenceNumber: first } = shard.SequenceNumberRange ?? {};
  return {
    shardId: shard.ShardId ?? "",
    ...(isNamed(first) ? { startingSequenceNumber: first } : {}),
    parentShardIds: [shard.ParentShardId, shard.AdjacentParentShardId].filter(isNamed),
    closed: isNamed(shard.SequenceNumberRange?.EndingSequenceNumber),
    hashKeyRange: hashKeyRange(shard.HashKeyRange),
  };
}

/** From an entry of `ChildShards` in a closed shard's last GetRecords reply. */
export function fromChildShard(child: SdkChildShard): Shard {
  return {
    shardId: child.ShardId ?? "",
    parentShardIds: (child.ParentShards ?? []).filter(isNamed),
    closed: false,
    hashKeyRange: hashKeyRange(child.HashKeyRange),
  };
}

function hashKeyRange(given: SdkHashKeyRange | undefined): HashKeyRange | undefined {
  const range = { startingHashKey: given?.StartingHashKey, endingHashKey: given?.EndingHashKey };
  return isHashKeyRange(range) ? range : undefined;
}

/** kinesalite writes some absent fields as null. */
function isNamed(value: string | null | undefined): value is string {
  return value !== undefined && value !== null && value !== "";
}
