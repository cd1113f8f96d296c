import type { LeaseRow, ShardLineage, ShardPut } from "../../checkpoints/lease-store.ts";
import { follows } from "../../checkpoints/start-position.ts";
import { corruptLease } from "../../checkpoints/stored-rows.ts";
import { printable } from "../../describe-error.ts";
import type { Shard } from "../../kinesis/shard.ts";
import { shardInCycle } from "../../kinesis/shard-cycle.ts";
import type { Discovery } from "./discovery.ts";

/** What the workers of an application tell each other of a shard, in its lease's row. */
export interface Lineage {
  readonly parents: readonly string[];
  /**
   * Did a complete listing name it? A shard that only its parent's last page announced may have a
   * second parent that no listing has named yet: that one must not be taken for gone.
   */
  readonly listed: boolean;
  /** Was it there when the application's shards were listed for the first time? */
  readonly atStart: boolean;
  /** Had it a parent that was still listed, or had a checkpoint? */
  readonly afterParent: boolean;
  /** The owner that holds it and does not reach Kinesis, by its own note. */
  readonly unreadBy?: string | undefined;
  /** A worker that reaches Kinesis, as an owner: it noted so after it had seen `unreadBy`. */
  readonly readableBy?: string | undefined;
}

export function formatLineage(of: Lineage): string {
  const { parents, listed, atStart, afterParent, unreadBy, readableBy } = of;
  return JSON.stringify({ parents, listed, atStart, afterParent, unreadBy, readableBy });
}

/** @throws StoreError STORE_CORRUPT */
export function parseLineage({ shardId, lineage }: ShardLineage): Lineage {
  const parsed = parsedOf(lineage);
  if (parsed !== undefined) return parsed;
  throw corruptLease(shardId, `${JSON.stringify(printable(lineage, 80))} as its lineage`);
}

function parsedOf(text: string): Lineage | undefined {
  let members: unknown;
  try {
    members = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof members !== "object" || members === null) return undefined;
  const { parents, listed, atStart, afterParent, unreadBy, readableBy } = members as Lineage;
  const isLineage =
    Array.isArray(parents) &&
    parents.every((parent) => typeof parent === "string") &&
    [listed, atStart, afterParent].every((flag) => typeof flag === "boolean") &&
    [unreadBy, readableBy].every((owner) => owner === undefined || typeof owner === "string");
  return isLineage ? { parents, listed, atStart, afterParent, unreadBy, readableBy } : undefined;
}

/** A lease's row, understood. */
export interface LeasedShard extends LeaseRow, Lineage {
  /** Read to its end, and the end is checkpointed. */
  readonly ended: boolean;
}

/**
 * @param known an earlier answer: a lineage that has not changed is not parsed again
 * @throws StoreError STORE_CORRUPT for what is no lineage, and for a shard that is its own ancestor
 */
export function leasedShards(
  rows: readonly LeaseRow[],
  known: ReadonlyMap<string, LeasedShard> = new Map(),
): ReadonlyMap<string, LeasedShard> {
  const shards = new Map<string, LeasedShard>();
  for (const row of rows) {
    const { shardId, owner, epoch, checkpoint, lineage } = row;
    const before = known.get(shardId);
    const { parents, listed, atStart, afterParent, unreadBy, readableBy } =
      before?.lineage === lineage ? before : parseLineage(row);
    const ended = checkpoint?.kind === "shard-end";
    shards.set(shardId, {
      shardId,
      owner,
      epoch,
      checkpoint,
      lineage,
      parents,
      listed,
      atStart,
      afterParent,
      unreadBy,
      readableBy,
      ended,
    });
  }
  const own = shardInCycle(
    new Map(rows.map(({ shardId }) => [shardId, shards.get(shardId)!.parents])),
  );
  if (own !== undefined) throw corruptLease(own, "itself among its ancestors");
  return shards;
}

/**
 * May it be read now: every parent has ended, or is gone? A parent without a row is gone if a
 * complete listing named the child: a listing makes rows of all that it names.
 */
export function isReadable(shard: LeasedShard, shards: ReadonlyMap<string, LeasedShard>): boolean {
  if (shard.ended) return false;
  return shard.parents.every((parent) => shards.get(parent)?.ended ?? shard.listed);
}

/** The children that shards' last pages announced, for those that have no rows yet. */
export function announced(
  children: readonly Shard[],
  shards: ReadonlyMap<string, LeasedShard>,
): ShardPut[] {
  // Both parents of a merged shard announce it.
  const named = new Map(children.map((child) => [child.shardId, child]));
  return [...named.values()]
    .filter(({ shardId }) => !shards.has(shardId))
    .map(({ shardId, parentShardIds: parents }) => ({
      shardId,
      lineage: formatLineage({ parents, listed: false, atStart: false, afterParent: true }),
    }));
}

/**
 * Is something missing in the rows that a listing would bring? All of them, the children of a shard
 * that ended, or a parent that somebody waits for.
 */
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

/** What a complete listing, and those before it, change in the rows, pure. */
export function discovered(
  { listing, gone, checkpoints, isFirst }: Discovery,
  shards: ReadonlyMap<string, LeasedShard>,
): { readonly put: readonly ShardPut[]; readonly gone: readonly LeasedShard[] } {
  const listed = new Set(listing.map(({ shardId }) => shardId));
  const put = listing
    .filter(({ shardId }) => shards.get(shardId)?.listed !== true)
    .map((shard) => {
      const { shardId, parentShardIds: parents } = shard;
      const known = shards.get(shardId);
      const lineage = formatLineage({
        parents,
        listed: true,
        // Not by the rows that are there now: a call that failed may have made some of them.
        atStart: known?.atStart ?? isFirst,
        afterParent: known?.afterParent ?? follows(shard, (id) => listed.has(id), checkpoints),
      });
      return { shardId, lineage, ...(known && { replaces: known.lineage }) };
    });
  const past = ancestors(listing, shards);
  return {
    put,
    gone: [...shards.values()].filter(
      (shard) => gone.has(shard.shardId) && (shard.listed || past.has(shard.shardId)),
    ),
  };
}

/**
 * All that come before the shards that are listed. One of them that is gone from the listings is gone,
 * even if it was only announced and no listing ever named it. Of others that were only announced
 * listings prove nothing: they may lag.
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
