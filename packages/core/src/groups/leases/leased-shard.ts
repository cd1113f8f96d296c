import type { LeaseRow } from "../../checkpoints/lease-store.ts";
import { corruptLease } from "../../checkpoints/stored-rows.ts";
import { shardInCycle } from "../../kinesis/shard-cycle.ts";
import { lineageOf, parseLineage, type Lineage } from "./lineage.ts";

/** A lease row with its lineage parsed. */
export interface LeasedShard extends LeaseRow, Lineage {
  /** True if the shard was read to its end, and the end is checkpointed. */
  readonly ended: boolean;
}

/**
 * Parses lease rows.
 * @param known the previous result: an unchanged lineage is not parsed again
 * @throws StoreError STORE_CORRUPT for text that is not a lineage, and for a shard among its own ancestors
 */
export function leasedShards(
  rows: readonly LeaseRow[],
  known: ReadonlyMap<string, LeasedShard> = new Map(),
): ReadonlyMap<string, LeasedShard> {
  const shards = new Map<string, LeasedShard>();
  for (const row of rows) {
    const { shardId, owner, epoch, checkpoint, lineage } = row;
    const before = known.get(shardId);
    const members = before?.lineage === lineage ? lineageOf(before) : parseLineage(row);
    const ended = checkpoint?.kind === "shard-end";
    shards.set(shardId, { shardId, owner, epoch, checkpoint, lineage, ended, ...members });
  }
  const own = shardInCycle(
    new Map(rows.map(({ shardId }) => [shardId, shards.get(shardId)!.parents])),
  );
  if (own !== undefined) throw corruptLease(own, "itself among its ancestors");
  return shards;
}

/**
 * True if the shard may be read: every parent has ended or is gone. A parent without a row is gone if a complete
 * listing named the child, because a listing creates rows for all shards that it names.
 */
export function isReadable(shard: LeasedShard, shards: ReadonlyMap<string, LeasedShard>): boolean {
  if (shard.ended) return false;
  return shard.parents.every((parent) => shards.get(parent)?.ended ?? shard.listed);
}

/** True if the rows lack something that a listing would add: any shard, children of an ended shard, or a parent. */
export function needsListing(shards: ReadonlyMap<string, LeasedShard>): boolean {
  if (shards.size === 0) return true;
  const parents = new Set<string>();
  for (const { parents: own, listed } of shards.values()) {
    for (const parent of own) {
      if (!listed && !shards.has(parent)) return true;
      parents.add(parent);
    }
  }
  for (const { shardId, ended } of shards.values()) if (ended && !parents.has(shardId)) return true;
  return false;
}
