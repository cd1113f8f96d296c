import type { Checkpoint } from "../checkpoints/position.ts";
import type { PauseReason } from "./events.ts";
import type { CallTrouble } from "./troubles.ts";

/** What a consumer is doing now. Plain data, which can be sent as JSON. */
export interface ConsumerStatus {
  readonly stream: string;
  readonly application: string;
  /** `idle`: no scan is under way. `stopping`: no further record is started. */
  readonly state: "idle" | "running" | "stopping";
  /** How far the start of the scan has come; undefined = no scan is under way. */
  readonly stage: ScanStage | undefined;
  /** The shards that are read here, and those no longer read whose handler still runs. */
  readonly shards: readonly ShardStatus[];
  /** Failing calls for the stream or the application as a whole; empty = none fails. */
  readonly troubles: readonly CallTrouble[];
  /** Memory of the pages that are requested, wait, or are handled, in bytes. */
  readonly bufferedBytes: number;
  /**
   * By how many milliseconds shards are polled later than their intervals say, because there are too many
   * shards, or the calls are too slow.
   */
  readonly pollDelayMs: number;
  /** Values of metrics that the counter refused by an error, or could not deliver. */
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
  /** The number of that attempt; 2 = the first one after the failure. */
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
  /** For how many milliseconds the handler has had its oldest record; 0 = it has none. */
  readonly handlingForMs: number;
  /** Records that were read and are not handled yet. */
  readonly recordsInFlight: number;
  /** Everything up to here is done; undefined = nothing was done in this scan. */
  readonly position: Checkpoint | undefined;
  /** The checkpoint that the store has acknowledged; undefined = none. */
  readonly acknowledged: Checkpoint | undefined;
  /** How long finished work has waited for the store, in milliseconds; 0 = none does. */
  readonly unflushedForMs: number;
  /** Milliseconds since the last GetRecords began; undefined = there was none. */
  readonly sinceLastPollMs: number | undefined;
  /**
   * How long GetRecords has been due without a reply, in milliseconds: it fails, hangs, or waits for
   * its turn, for quota or for memory. 0 = it is not due, or records wait for the handler.
   */
  readonly unreadForMs: number;
  /** The error of the last call for the shard; undefined = it was answered. */
  readonly error: string | undefined;
  /** The owner of the lease; undefined = there is no lease. */
  readonly owner: string | undefined;
}
