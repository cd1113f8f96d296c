import type { ShardPut } from "../../checkpoints/lease-store.ts";
import type { Checkpoint } from "../../checkpoints/position.ts";
import { follows } from "../../checkpoints/start-position.ts";
import { isSameRange } from "../../kinesis/hash-key-range.ts";
import type { Shard } from "../../kinesis/shard.ts";
import type { LeasedShard } from "./leased-shard.ts";
import { formatLineage } from "./lineage.ts";

/** A complete listing that differs from the rows, and what was known when it was requested. */
export interface ListingNews {
  readonly listing: readonly Shard[];
  /** Loaded only if the listing changes a row. */
  readonly checkpoints: ReadonlyMap<string, Checkpoint>;
  /** Shards with a row that are gone from the stream, confirmed by two listings. */
  readonly gone: ReadonlySet<string>;
  /** True if no shard had a row when the listing was requested: its shards existed at the start. */
  readonly isFirst: boolean;
}

/** Creates rows for announced children that have none yet. Pure. */
export function announced(
  children: readonly Shard[],
  shards: ReadonlyMap<string, LeasedShard>,
): ShardPut[] {
  // Both parents of a merged shard announce it, so children may occur twice.
  const named = new Map(children.map((child) => [child.shardId, child]));
  return [...named.values()]
    .filter(({ shardId }) => !shards.has(shardId))
    .map(({ shardId, parentShardIds: parents, hashKeyRange }) => {
      const known = { listed: false, atStart: false, afterParent: true };
      return { shardId, lineage: formatLineage({ parents, ...known, hashKeyRange }) };
    });
}

type Listed = Pick<LeasedShard, "hashKeyRange" | "startingSequenceNumber">;

/** True if the row is missing or differs from the listed shard. */
export function isNews(
  { hashKeyRange, startingSequenceNumber: first }: Listed,
  row: (Listed & Pick<LeasedShard, "listed">) | undefined,
): boolean {
  if (row?.listed !== true) return true;
  if (first !== undefined && first !== row.startingSequenceNumber) return true;
  return hashKeyRange !== undefined && !isSameRange(hashKeyRange, row.hashKeyRange);
}

export interface ListingChanges {
  /** Rows of shards that no earlier listing had named. */
  readonly put: readonly ShardPut[];
  /** Rows whose hash keys or starting sequence number are missing or differ. Not urgent: their shards can be read. */
  readonly refresh: readonly ShardPut[];
  readonly gone: readonly LeasedShard[];
}

/** Computes what complete listings change in the rows. Pure. */
export function discovered(
  { listing, gone, checkpoints, isFirst }: ListingNews,
  shards: ReadonlyMap<string, LeasedShard>,
): ListingChanges {
  const listed = new Set(listing.map(({ shardId }) => shardId));
  const changes = listing
    .filter((shard) => isNews(shard, shards.get(shard.shardId)))
    .map((shard) => {
      const { shardId, parentShardIds: parents } = shard;
      const known = shards.get(shardId);
      const lineage = formatLineage({
        ...known,
        parents,
        listed: true,
        // `isFirst`, not whether rows exist now: a failed call may have created some of them.
        atStart: known?.atStart ?? isFirst,
        afterParent: known?.afterParent ?? follows(shard, (id) => listed.has(id), checkpoints),
        hashKeyRange: shard.hashKeyRange ?? known?.hashKeyRange,
        startingSequenceNumber: shard.startingSequenceNumber ?? known?.startingSequenceNumber,
      });
      return { shardId, lineage, ...(known && { replaces: known.lineage }) };
    });
  const past = ancestors(listing, shards);
  return {
    put: changes.filter(({ shardId }) => shards.get(shardId)?.listed !== true),
    refresh: changes.filter(({ shardId }) => shards.get(shardId)?.listed === true),
    gone: [...shards.values()].filter(
      (shard) => gone.has(shard.shardId) && (shard.listed || past.has(shard.shardId)),
    ),
  };
}

/**
 * All ancestors of the listed shards. An ancestor that listings do not name is gone, even if it was only announced and
 * never listed. For other announced shards, listings prove nothing, because they may lag.
 */
function ancestors(
  listing: readonly Shard[],
  shards: ReadonlyMap<string, LeasedShard>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const queue = listing.flatMap(({ parentShardIds }) => parentShardIds);
  for (let shardId = queue.pop(); shardId !== undefined; shardId = queue.pop()) {
    if (found.has(shardId)) continue;
    found.add(shardId);
    queue.push(...(shards.get(shardId)?.parents ?? []));
  }
  return found;
}
