import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import type { Fence } from "../checkpoints/store.ts";
import type { Clock } from "../clock.ts";
import type { Page } from "../reading/shard-reader.ts";
import type { SharedTimer } from "../shared-timer.ts";
import type { PauseReason } from "../telemetry/events.ts";
import type { RetryStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Totals } from "../telemetry/totals.ts";
import type { LoopTurns } from "./loop-turns.ts";
import type { Pauses } from "./pauses.ts";
import type { PageAge } from "./tracker.ts";

/** Accepts the pages of one shard and passes their records to the handler. */
export interface Delivery {
  /**
   * Takes ownership of a page. Resolves when there is room for the next page, which may be before this
   * one is handled. @throws the reason of `stop`; KcError HANDLER_FAILED; the store's errors
   */
  accept(page: Page): Promise<void>;
  /** Resolves when every accepted record is handled. @throws as `accept` */
  settle(): Promise<void>;
  /** @param now by the monotonic clock */
  status(now: number): DeliveryStatus;
  /**
   * Starts no further record. Resolves when no call of the handler is running: the started records are
   * done or have failed, and the memory of their pages is released. Never rejects. Idempotent.
   */
  close(): Promise<void>;
}

export interface DeliveryStatus {
  /**
   * `idle`: no record is in flight. `paused`: records wait for what `pausedBy` says. `retrying`: no call
   * of the handler is running, and records wait for their next attempt or for the dead-letter queue.
   */
  readonly state: "idle" | "handling" | "retrying" | "paused";
  readonly pausedBy: PauseReason | undefined;
  /** The next attempt of a failed record; undefined = no record waits for one. */
  readonly retry: RetryStatus | undefined;
  /** Keys with a failed record that is not finished. Their later records wait. */
  readonly keysHeldUp: number;
  /** How long the oldest call of the handler has been running, in milliseconds; 0 = none is. */
  readonly handlingForMs: number;
  /** Accepted records that are not finished. */
  readonly recordsInFlight: number;
  /** The oldest accepted page with unfinished records. */
  readonly oldest: PageAge | undefined;
  /**
   * True if the handler is running, a failed record waits, or the user has paused the shard: each may
   * take any time. If false, the records in flight wait only for their turn, as those of other shards do.
   */
  readonly isAtRecord: boolean;
}

/** Opens the delivery of one shard. */
export type OpenDelivery = (shard: DeliveredShard) => Delivery;

/** What a delivery needs to know about its shard. */
export interface DeliveredShard {
  readonly shardId: string;
  /** Present if the shard is held by a lease. */
  readonly fence: Fence | undefined;
  readonly progress: ShardProgress;
  /** Aborts when no further record may start. */
  readonly stop: AbortSignal;
  /** Aborts when the shard is abandoned, whether records are in flight or not. */
  readonly abandon: AbortSignal;
  /**
   * Reports a failure immediately, also while no call of `accept` is pending that could throw it. The
   * reason of `stop` is not a failure.
   */
  readonly fail: (error: unknown) => void;
  /** How long the lease still allows records to start, in milliseconds; undefined = no lease. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
  /** The service's time of day, by which the age of records is computed. */
  readonly serviceNow: () => Date;
  /** How long the stream retains its records, in milliseconds; undefined = not known. */
  readonly retentionMs: () => number | undefined;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** How long to wait for a handler that should have returned, in milliseconds. */
  readonly drainTimeoutMs: number;
  /** Shared by all shards of the scan, as are the next ones. */
  readonly turns: LoopTurns;
  readonly timer: SharedTimer;
  readonly pauses: Pauses;
  readonly telemetry: Telemetry;
  /** The scan's counters, to which this delivery adds. */
  readonly totals: Totals;
}
