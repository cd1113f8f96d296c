import { ownerOf, type WorkerIdentity } from "../../checkpoints/lease-store.ts";
import type { Fence } from "../../checkpoints/store.ts";
import { isReadable, type LeasedShard } from "./leased-shard.ts";
import type { View } from "./group-view.ts";
import { plan } from "./plan.ts";

/** What one worker has to do in a round. */
export interface RoundPlan {
  /** Number of shards planned for it, held or not. */
  readonly share: number;
  /** Held shards that are planned for another worker (`to`), or exceed the limits of all workers. */
  readonly handOver: readonly { readonly shardId: string; readonly to: string | undefined }[];
  /** Shards planned for it that are free, or that name it already by a claim whose reply was lost. */
  readonly claim: readonly string[];
  /**
   * Shards that name it by a claim whose reply was lost, and that are planned for another worker, or may still be
   * released by an unanswered call.
   */
  readonly release: readonly { readonly shardId: string; readonly fence: Fence }[];
}

/** Computes what one worker has to do, from the rows and from the leases that it holds. Pure. */
export function roundPlanOf(
  worker: WorkerIdentity,
  { workers, shards }: View,
  inHand: (shardId: string) => boolean,
  isReleasing: (shard: LeasedShard) => boolean,
): RoundPlan {
  const alive = new Map(workers.map((row) => [ownerOf(row), row.workerId]));
  const holder = (shard: LeasedShard | undefined): string | undefined =>
    shard?.owner === undefined ? undefined : alive.get(shard.owner);
  const readable = [...shards.values()].filter((shard) => isReadable(shard, shards));
  const planned = plan(
    readable.map((shard) => ({
      shardId: shard.shardId,
      owner: holder(shard),
      heir: shard.parents.map((id) => holder(shards.get(id))).find((id) => id !== undefined),
    })),
    workers,
  );
  const own = ownerOf(worker);
  const isForUs = ({ shardId }: LeasedShard): boolean => planned.get(shardId) === worker.workerId;
  const unknown = ({ shardId, owner }: LeasedShard): boolean => owner === own && !inHand(shardId);
  const adoptable = (shard: LeasedShard): boolean =>
    unknown(shard) && isForUs(shard) && !isReleasing(shard);
  return {
    share: readable.filter(isForUs).length,
    handOver: readable
      .filter((shard) => inHand(shard.shardId) && !isForUs(shard))
      .map(({ shardId }) => ({ shardId, to: planned.get(shardId) })),
    claim: readable
      .filter((shard) => isForUs(shard) && !inHand(shard.shardId))
      .filter((shard) => holder(shard) === undefined || adoptable(shard))
      .map(({ shardId }) => shardId),
    release: [...shards.values()]
      .filter((shard) => unknown(shard) && !adoptable(shard))
      .map(({ shardId, epoch }) => ({ shardId, fence: { epoch, owner: own } })),
  };
}

/** True if this worker is alone, or no shard was ever claimed: other workers may be about to join. Pure. */
export function isFirstStart({ workers, shards }: View): boolean {
  if (workers.length === 1) return true;
  for (const { epoch } of shards.values()) if (epoch > 0) return false;
  return true;
}
