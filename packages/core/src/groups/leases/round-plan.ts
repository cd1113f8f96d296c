import { ownerOf, type WorkerIdentity } from "../../checkpoints/lease-store.ts";
import type { Fence } from "../../checkpoints/store.ts";
import { isReadable, type LeasedShard } from "./leased-shard.ts";
import type { View } from "./group-view.ts";
import { plan } from "./plan.ts";

/** What the plan asks of one worker. */
export interface RoundPlan {
  /** How many shards are planned for it, whether it has them now or not. */
  readonly share: number;
  /** Of what it has in hand: what is planned for another, or beyond everybody's limit. */
  readonly handOver: readonly { readonly shardId: string; readonly to: string | undefined }[];
  /** What is planned for it and free, or names it already without its knowing. */
  readonly claim: readonly string[];
  /**
   * Rows that name it without its knowing, from a claim whose reply was lost: planned for another, or
   * about to be released by a call that was not answered.
   */
  readonly giveBack: readonly { readonly shardId: string; readonly fence: Fence }[];
}

/** Pure: what one worker has to do, by the rows and by what it has in hand. */
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
    giveBack: [...shards.values()]
      .filter((shard) => unknown(shard) && !adoptable(shard))
      .map(({ shardId, epoch }) => ({ shardId, fence: { epoch, owner: own } })),
  };
}

/** Nobody holds anything yet: others may be about to join. Pure. */
export function isFirstStart({ workers, shards }: View): boolean {
  if (workers.length === 1) return true;
  for (const { epoch } of shards.values()) if (epoch > 0) return false;
  return true;
}
