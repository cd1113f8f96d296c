import type { Checkpoint } from "../checkpoints/position.ts";

/** What a consumer is doing now. Plain data: it can be sent as JSON. */
export interface ConsumerStatus {
  readonly stream: string;
  readonly application: string;
  /** `idle`: no scan is under way. `stopping`: no further record is begun. */
  readonly state: "idle" | "running" | "stopping";
  readonly shards: readonly ShardStatus[];
  /** Memory of pages that are handled, wait, or are on their way, in bytes. */
  readonly bufferedBytes: number;
  /** Figures that the counter threw at, or could not deliver. */
  readonly droppedFigures: number;
}

/**
 * `waiting`: for an earlier handler of this shard. `reading`: nothing is in hand. `handling`: the
 * handler is called. `paused`: records wait for the store, or for the lease. `draining`: the last
 * record is finished and flushed.
 */
export const SHARD_STATES = ["waiting", "reading", "handling", "paused", "draining"] as const;

export interface ShardStatus {
  readonly shardId: string;
  readonly state: (typeof SHARD_STATES)[number];
  /**
   * How far behind the tip of the shard its handled records are, in milliseconds. It grows while
   * nothing of the shard is read or handled.
   */
  readonly lagMs: number;
  /** How long the handler has been at the records in hand without finishing one; 0 = it has none. */
  readonly handlingForMs: number;
  /** Records that were read and are not handled yet. */
  readonly recordsInFlight: number;
  /** The last record that is done; undefined = none in this scan. */
  readonly position: Checkpoint | undefined;
  /** What the store has acknowledged. */
  readonly acknowledged: Checkpoint | undefined;
  /** How long finished work has waited for the store, in milliseconds; 0 = none does. */
  readonly unflushedForMs: number;
  /** Since the last GetRecords began, in milliseconds; undefined = there was none. */
  readonly sinceLastPollMs: number | undefined;
  /** Why the shard is not read at the moment; undefined = it is, or was at the last try. */
  readonly error: string | undefined;
  /** Who holds the lease; undefined without one. */
  readonly owner: string | undefined;
}

export interface HealthThresholds {
  /** A handler that finishes no record for so long is stuck. @default 60000 */
  readonly stuckAfterMs?: number;
  /** A shard that is further behind is lagging. @default Infinity */
  readonly laggingAfterMs?: number;
}

/** For a probe: `alive` for liveness (restart me), `ready` for readiness. */
export interface Health {
  /** A scan runs, and no handler is stuck. */
  readonly alive: boolean;
  /** Alive, not stopping, and no shard is lagging. */
  readonly ready: boolean;
  readonly stuckShards: readonly string[];
  readonly laggingShards: readonly string[];
}

/** What a status means, pure. */
export function healthOf(status: ConsumerStatus, thresholds: HealthThresholds = {}): Health {
  const { stuckAfterMs = 60_000, laggingAfterMs = Infinity } = thresholds;
  const ids = (is: (shard: ShardStatus) => boolean): string[] =>
    status.shards.filter(is).map(({ shardId }) => shardId);
  const stuckShards = ids(({ handlingForMs }) => handlingForMs > stuckAfterMs);
  const laggingShards = ids(({ lagMs }) => lagMs > laggingAfterMs);
  const alive = status.state !== "idle" && stuckShards.length === 0;
  const ready = alive && status.state === "running" && laggingShards.length === 0;
  return { alive, ready, stuckShards, laggingShards };
}
