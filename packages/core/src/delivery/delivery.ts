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

/** Takes the pages of one shard, and brings their records to the handler. */
export interface Delivery {
  /**
   * Takes a page over. Resolves when there is room for the next page, which may be before this one is
   * handled. @throws the reason of `stop`; KcError HANDLER_FAILED; the store's
   */
  accept(page: Page): Promise<void>;
  /** Resolves when all that was accepted is handled. @throws as `accept` */
  settle(): Promise<void>;
  /** @param now by the monotonic clock */
  status(now: number): DeliveryStatus;
  /**
   * Nothing more starts. Resolves when no handler is called any more: the records in hand are done or
   * have failed, and the memory of their pages is released. Never rejects. Idempotent.
   */
  close(): Promise<void>;
}

export interface DeliveryStatus {
  /**
   * `idle`: no record is in hand. `paused`: records wait for what `pausedBy` says. `retrying`: the handler
   * is called for none, and some wait for their next attempt, or for the dead-letter queue.
   */
  readonly state: "idle" | "handling" | "retrying" | "paused";
  readonly pausedBy: PauseReason | undefined;
  /** The next attempt of a record that failed; undefined = none waits for one. */
  readonly retry: RetryStatus | undefined;
  /** Keys whose later records wait, since one of theirs has failed. */
  readonly keysHeldUp: number;
  /** Since when the handler has been at the records in hand, in milliseconds; 0 = it is at none. */
  readonly handlingForMs: number;
  /** Accepted records that are not handled yet. */
  readonly recordsInFlight: number;
  /** The first accepted page that is not handled. */
  readonly oldest: PageAge | undefined;
  /**
   * Is the handler at a record now, or has the user paused the shard? Either may take as long as it likes.
   * Else the records in hand wait, as other shards' do.
   */
  readonly isAtRecord: boolean;
}

/** Opens the delivery of one shard. */
export type OpenDelivery = (shard: DeliveredShard) => Delivery;

/** What a delivery has to know of its shard. */
export interface DeliveredShard {
  readonly shardId: string;
  /** Present under a lease. */
  readonly fence: Fence | undefined;
  readonly progress: ShardProgress;
  /** Aborts when no further record is to be started. */
  readonly stop: AbortSignal;
  /** Aborts when the shard is given up, with records in hand or without. */
  readonly abandon: AbortSignal;
  /**
   * Reports a failure at once, when no call of `accept` is there to throw it. The reason of `stop` is no
   * failure.
   */
  readonly fail: (error: unknown) => void;
  /** Milliseconds left of the right to start records. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
  /** The service's time of day: the age of records is judged by it. */
  readonly serviceNow: () => Date;
  /** How long the stream keeps its records, in milliseconds; undefined = it is not known. */
  readonly retentionMs: () => number | undefined;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** How long a handler is waited for that should have returned, in milliseconds. */
  readonly drainTimeoutMs: number;
  /** These are shared by all shards of the scan. */
  readonly turns: LoopTurns;
  readonly timer: SharedTimer;
  readonly pauses: Pauses;
  readonly telemetry: Telemetry;
  /** The scan's, to be added to. */
  readonly totals: Totals;
}
