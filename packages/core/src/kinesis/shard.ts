import { isHashKeyRange, type HashKeyRange } from "./hash-key-range.ts";

/** A shard, as ListShards describes it. */
export interface Shard {
  readonly shardId: string;
  /** Empty for a shard that the stream was created with, one id after a split, two after a merge. */
  readonly parentShardIds: readonly string[];
  /** A closed shard accepts no more records, and can be read to its end. */
  readonly closed: boolean;
  /** The lowest sequence number. Absent if the shard is known only from its parent's last page. */
  readonly startingSequenceNumber?: string;
  /** `undefined` if the service does not report it, as some emulators. */
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

/** Converts an entry of ListShards. */
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

/** Converts an entry of `ChildShards` in a closed shard's last GetRecords reply. */
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
