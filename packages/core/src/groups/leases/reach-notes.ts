import { ownerOf, type ShardPut, type WorkerIdentity } from "../../checkpoints/lease-store.ts";
import type { View } from "./group-view.ts";
import type { LeasedShard } from "./leased-shard.ts";
import { formatLineage, type Lineage } from "./lineage.ts";

/**
 * What the rows say about who reaches Kinesis, as one worker sees it. A worker that does not notes so
 * in the row of a shard that it holds. One that does notes that in the same row, after a listing that
 * it began when it had seen the first note. Notes of workers that are gone count for nothing.
 */
export interface ReachNotes {
  /** Rows in which another worker notes that it does not reach Kinesis, and no worker notes that it does. */
  readonly open: readonly LeasedShard[];
  /** Rows in which this worker notes that it does not. */
  readonly own: readonly LeasedShard[];
  /** Does another worker note in one of those that it does? */
  readonly isAnswered: boolean;
}

/** Pure. */
export function reachNotes({ workers, shards }: View, worker: WorkerIdentity): ReachNotes {
  const self = ownerOf(worker);
  const living = new Set(workers.map(ownerOf));
  const isAnswered = ({ unreadBy, readableBy }: LeasedShard): boolean =>
    readableBy !== undefined && readableBy !== unreadBy && living.has(readableBy);
  const marked = [...shards.values()].filter(({ unreadBy }) => living.has(unreadBy ?? ""));
  const own = marked.filter(({ unreadBy }) => unreadBy === self);
  return {
    open: marked.filter((shard) => shard.unreadBy !== self && !isAnswered(shard)),
    own,
    isAnswered: own.some(isAnswered),
  };
}

/** Puts other notes into the row, if it still is what was seen. */
export function noted(
  shard: LeasedShard,
  { unreadBy, readableBy }: Pick<Lineage, "unreadBy" | "readableBy">,
): ShardPut {
  const { shardId, lineage: replaces } = shard;
  return { shardId, lineage: formatLineage({ ...shard, unreadBy, readableBy }), replaces };
}
