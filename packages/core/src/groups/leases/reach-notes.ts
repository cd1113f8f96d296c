import { ownerOf, type ShardPut, type WorkerIdentity } from "../../checkpoints/lease-store.ts";
import type { View } from "./group-view.ts";
import type { LeasedShard } from "./leased-shard.ts";
import { formatLineage, type Lineage } from "./lineage.ts";

/**
 * The notes in the rows on which workers reach Kinesis. A worker that does not reach it notes this in the row of a
 * shard that it holds. Another worker that reaches it answers in the same row, after a listing that it began when it
 * had seen the note. Notes of workers that are gone are ignored.
 */
export interface ReachNotes {
  /** Rows in which another worker notes that it does not reach Kinesis, without an answer. */
  readonly open: readonly LeasedShard[];
  /** Rows in which this worker notes that it does not reach Kinesis. */
  readonly own: readonly LeasedShard[];
  /** True if another worker has answered one of this worker's notes. */
  readonly isAnswered: boolean;
}

/** Reads the notes from the rows. Pure. */
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

/** Replaces the notes of a row, unless the row has changed since it was read. */
export function noted(
  shard: LeasedShard,
  { unreadBy, readableBy }: Pick<Lineage, "unreadBy" | "readableBy">,
): ShardPut {
  const { shardId, lineage: replaces } = shard;
  return { shardId, lineage: formatLineage({ ...shard, unreadBy, readableBy }), replaces };
}
