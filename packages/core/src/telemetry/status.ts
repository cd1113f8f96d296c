import type { Checkpoint } from "../checkpoints/position.ts";
import type { PauseReason } from "./events.ts";
import type { CallTrouble } from "./troubles.ts";

/** What a consumer is doing now. Plain data: it can be sent as JSON. */
export interface ConsumerStatus {
  readonly stream: string;
  readonly application: string;
  /** `idle`: no scan is under way. `stopping`: no further record is begun. */
  readonly state: "idle" | "running" | "stopping";
  /** How far its start has come; undefined = no scan is under way. */
  readonly stage: ScanStage | undefined;
  /** Those that are read here, and those whose handler runs on although they no longer are. */
  readonly shards: readonly ShardStatus[];
  /** Calls for the stream or the application as a whole that fail now; empty = all are answered. */
  readonly troubles: readonly CallTrouble[];
  /** Memory of pages that are handled, wait, or are on their way, in bytes. */
  readonly bufferedBytes: number;
  /**
   * How much later than their intervals say shards are polled, in milliseconds, because they are too
   * many for the calls, or the calls too slow.
   */
  readonly pollDelayMs: number;
  /** Values that the counter threw at, or could not deliver. */
  readonly droppedMetrics: number;
}

/**
 * `describing` the stream, which is the first call to Kinesis; `opening` the application in the
 * store; `joining` the group; `listing`: no shards are known; `polling`: there are shards, and none
 * was read yet; `reading`: the start is over. A worker that is out of its group begins again at
 * `joining`.
 */
export type ScanStage = "describing" | "opening" | "joining" | "listing" | "polling" | "reading";

/** The next attempt of a record that failed. */
export interface RetryStatus {
  /** 2 = the first one after the failure. */
  readonly attempt: number;
  /** In milliseconds; 0 = it is due. */
  readonly nextAttemptInMs: number;
}

/**
 * `waiting`: for an earlier handler of this shard. `reading`: nothing is in hand. `handling`: the
 * handler is called. `retrying`: it is called for no record, and some wait for their next attempt, or
 * for the dead-letter queue. `paused`: records wait for the store, for the lease, or for the user who has
 * paused the shard. `draining`: the records in hand are finished and flushed. `abandoned`: it is no longer
 * read here, and its handler has not returned.
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
  /** What its records wait for; undefined = they do not have to wait. */
  readonly pausedBy: PauseReason | undefined;
  /** The next attempt of a record that failed; undefined = none waits for one. */
  readonly retry: RetryStatus | undefined;
  /** Keys whose later records wait, since one of theirs has failed and is not done yet. */
  readonly keysHeldUp: number;
  /**
   * How far behind the tip of the shard its handled records are, in milliseconds. It grows while
   * nothing of the shard is read or handled.
   */
  readonly lagMs: number;
  /**
   * How long the stream will still keep what is not handled, in milliseconds: its retention less `lagMs`,
   * and 0 once that is over. Undefined = not known: nothing was read yet, or the service has not
   * reported the retention.
   */
  readonly retentionHeadroomMs: number | undefined;
  /** How long the handler has been at the record in hand, or at the oldest of these; 0 = it has none. */
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
  /**
   * How long GetRecords has been due without a reply, in milliseconds: it fails, hangs, or waits for
   * its turn, for quota or for memory. 0 = it is not due, or records wait for the handler.
   */
  readonly unreadForMs: number;
  /** What the last call for the shard failed with; undefined = it was answered. */
  readonly error: string | undefined;
  /** Who holds the lease; undefined without one. */
  readonly owner: string | undefined;
}
