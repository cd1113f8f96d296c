import { ownerOf } from "../../checkpoints/lease-store.ts";
import type { Coordinator } from "./coordinator.ts";
import { isReadable } from "./leased-shard.ts";
import type { Membership } from "./membership.ts";

/** What one worker knows of its application. Plain data: it can be sent as JSON. */
export interface LeaseGroupStatus {
  readonly workerId: string;
  /** Undefined = it is not in the group. */
  readonly incarnation: string | undefined;
  /** `idle`: no scan runs. `joining`: it is not entered yet, or not again. */
  readonly state: "idle" | "joining" | "member";
  /** How long new records may still start without another heartbeat, in milliseconds. */
  readonly remainingMs: number;
  /** The workers that are alive, as the last look found them. */
  readonly workers: readonly string[];
  /** Every shard that is read or could be, as the last look found it. */
  readonly shards: readonly LeasedShardStatus[];
}

export interface LeasedShardStatus {
  readonly shardId: string;
  /** The worker that holds it; undefined = no live worker. */
  readonly owner: string | undefined;
  readonly epoch: number;
  /** `waiting`: for a parent's end. `free`: to be claimed. `held`: by its owner. */
  readonly state: "waiting" | "free" | "held";
  /** Only of this worker's own: how long it has held the shard, in milliseconds. */
  readonly heldForMs?: number;
  /** Only of this worker's own: how it came here. */
  readonly why?: string;
}

export function groupStatus(
  workerId: string,
  membership: Membership | undefined,
  coordinator: Coordinator | undefined,
): LeaseGroupStatus {
  const { workers = [], shards = new Map() } = coordinator?.view ?? {};
  const alive = new Map(workers.map((row) => [ownerOf(row), row.workerId]));
  const own = new Map(coordinator?.leases.map((lease) => [lease.shardId, lease]));
  return {
    workerId,
    incarnation: coordinator && membership?.worker.incarnation,
    state: membership === undefined ? "idle" : coordinator === undefined ? "joining" : "member",
    remainingMs: Math.max(0, membership?.remainingMs() ?? 0),
    workers: [...alive.values()],
    shards: [...shards.values()]
      .filter(({ ended }) => !ended)
      .map((shard) => {
        const { shardId, epoch } = shard;
        const lease = own.get(shardId);
        const named = shard.owner === undefined ? undefined : alive.get(shard.owner);
        const owner = lease ? workerId : named;
        const state = owner ? "held" : isReadable(shard, shards) ? "free" : "waiting";
        const mine = lease && { heldForMs: lease.since.elapsed(), why: lease.why };
        return { shardId, owner, epoch, state, ...mine };
      }),
  };
}
