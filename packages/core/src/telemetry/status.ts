import type { Checkpoint } from "../checkpoints/position.ts";
import type { PauseReason } from "./events.ts";
import type { FailingCall } from "./failing-calls.ts";

/** What a consumer is doing now. Plain data that can be serialised as JSON. */
export interface ConsumerStatus {
  readonly stream: string;
  readonly application: string;
  /** `idle`: no scan runs. `stopping`: no further record is started. */
  readonly state: "idle" | "running" | "stopping";
  /** The progress of the scan's start; undefined = no scan runs. */
  readonly stage: ScanStage | undefined;
  /** The shards that are read here, and the abandoned ones whose handler still runs. */
  readonly shards: readonly ShardStatus[];
  /** Failing calls that concern the whole stream or application; empty = none. */
  readonly failingCalls: readonly FailingCall[];
  /** Memory of pages that are requested, waiting, or being handled, in bytes. */
  readonly bufferedBytes: number;
  /** How much later than their intervals shards are polled, in milliseconds: too many shards, or slow calls. */
  readonly pollDelayMs: number;
  /** Number of metric values that were lost, because the counter threw or could not deliver them. */
  readonly droppedMetrics: number;
}

/**
 * The stages of a scan's start:
 * - `describing`: waiting for the description of the stream, the first call to Kinesis;
 * - `opening`: opening the application in the store;
 * - `joining`: joining the group. A worker that has lost its membership returns to this stage;
 * - `listing`: no shards are known yet;
 * - `polling`: there are shards, but GetRecords has not been answered yet;
 * - `reading`: the start has completed.
 */
export type ScanStage = "describing" | "opening" | "joining" | "listing" | "polling" | "reading";

/** The next attempt of a record that failed. */
export interface RetryStatus {
  /** The number of that attempt; 2 = the first retry. */
  readonly attempt: number;
  /** Milliseconds until that attempt; 0 = it is due. */
  readonly nextAttemptInMs: number;
}

/**
 * The states of a shard:
 * - `waiting`: an earlier handler of this shard has not returned yet;
 * - `reading`: no record is in flight;
 * - `handling`: the handler is running;
 * - `retrying`: the handler is not running, and records wait for their next attempt or for the dead-letter queue;
 * - `paused`: records wait for the store, for the lease, or for the user, who has paused the shard;
 * - `draining`: records in flight are being finished and flushed;
 * - `abandoned`: the shard is no longer read here, but its handler has not returned.
 */
export const SHARD_STATES = [
  "waiting",
  "reading",
  "handling",
  "retrying",
  "paused",
  "draining",
  "abandoned",
] as const;

export interface ShardStatus {
  readonly shardId: string;
  readonly state: (typeof SHARD_STATES)[number];
  /** What further records wait for; undefined = they do not have to wait. */
  readonly pausedBy: PauseReason | undefined;
  /** The next attempt of a failed record; undefined = none is waiting. */
  readonly retry: RetryStatus | undefined;
  /** Number of keys whose later records wait because an earlier one has failed and is not done yet. */
  readonly keysHeldUp: number;
  /** How far handled records are behind the tip of the shard, in milliseconds. Grows while nothing is read or handled. */
  readonly lagMs: number;
  /**
   * How long the stream will still keep unhandled records, in milliseconds: its retention minus the age of the oldest
   * one in hand, or minus `lagMs` if that is more, at least 0. Undefined = unknown: nothing was read yet, or the service has not reported the retention.
   */
  readonly retentionHeadroomMs: number | undefined;
  /** How long the oldest running call of the handler (or `onShardClosed`) has lasted, in milliseconds; 0 = none. */
  readonly handlingForMs: number;
  /** Records that were read and are not handled yet. */
  readonly recordsInFlight: number;
  /** Everything up to this position is done; undefined = nothing was done in this scan. */
  readonly position: Checkpoint | undefined;
  /** The last checkpoint that the store acknowledged; undefined = none. */
  readonly acknowledged: Checkpoint | undefined;
  /** How long finished work has waited for the store, in milliseconds; 0 = nothing waits. */
  readonly unflushedForMs: number;
  /** Milliseconds since the last GetRecords request began; undefined = there was none. */
  readonly sinceLastPollMs: number | undefined;
  /**
   * How long GetRecords has been due without a reply, in milliseconds: it fails, hangs, or waits for
   * its turn, for quota or for memory. 0 = it is not due, or records wait for the handler.
   */
  readonly unreadForMs: number;
  /** The error of the Kinesis call for this shard that is failing; undefined = none fails. */
  readonly error: string | undefined;
  /** The owner of the lease; undefined = there is no lease. */
  readonly owner: string | undefined;
}
