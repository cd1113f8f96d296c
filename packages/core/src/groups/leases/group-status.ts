import { ownerOf } from "../../checkpoints/lease-store.ts";
import type { Coordinator } from "./coordinator.ts";
import { isReadable } from "./leased-shard.ts";
import type { Membership } from "./membership.ts";

/** The application as one worker sees it. Plain data that can be serialised as JSON. */
export interface LeaseGroupStatus {
  readonly workerId: string;
  /** The id of this membership; undefined = the worker is not in the group. */
  readonly incarnation: string | undefined;
  /** `idle`: no scan runs. `joining`: the worker has not joined the group (again) yet. */
  readonly state: "idle" | "joining" | "member";
  /** How long new records may still start without another heartbeat, in milliseconds. */
  readonly remainingMs: number;
  /** The ids of the live workers, as of the last round. */
  readonly workers: readonly string[];
  /** All shards that have not ended, as of the last round. */
  readonly shards: readonly LeasedShardStatus[];
}

/** A shard of a `LeaseGroupStatus`. */
export interface LeasedShardStatus {
  readonly shardId: string;
  /** The id of the live worker that holds the lease; undefined = none. */
  readonly owner: string | undefined;
  readonly epoch: number;
  /** `waiting`: a parent has not ended. `free`: can be claimed. `held`: has an owner. */
  readonly state: "waiting" | "free" | "held";
  /** How long this worker has held the lease, in milliseconds. Only on its own shards. */
  readonly heldForMs?: number;
  /** How this worker acquired the lease. Only on its own shards. */
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
