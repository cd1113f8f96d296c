import type { Clock } from "../clock.ts";
import type { Checkpoint } from "../checkpoints/position.ts";
import type { Fence, Store, StoreScope } from "../checkpoints/store.ts";
import type { KcError } from "../errors.ts";
import type { HashKeyRange } from "../kinesis/hash-key-range.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/**
 * Decides which shards this process reads, and when. It grants a shard by a call of `host.read`, and takes it
 * back by aborting the assignment's `handOff` or `lost` signal. A group must
 * - grant a shard only when every parent has ended, or is gone by a complete listing that names the
 *   shard itself and is not read by anybody any more;
 * - never grant a shard that it has granted and not yet seen settled;
 * - return from `run` soon after `signal` aborts. The scan itself waits for the shards.
 */
export interface AnyGroup {
  /** True = it works with a `LeaseStore` alone. */
  readonly needsLeases?: boolean;

  /** Refuses what it cannot work with. @throws ConfigError */
  validate?(store: Store | undefined): void;

  /**
   * What the running group lacks before it can grant shards, for the consumer's status; undefined =
   * nothing. A group without it is taken to lack shards until it has granted one.
   */
  readonly lacks?: "membership" | "shards" | undefined;

  /**
   * One write of checkpoints may take so long at most, in milliseconds, so that it fits the group's own
   * deadlines. @default 30000
   */
  readonly storeTimeoutMs?: number;

  /**
   * Runs until the signal aborts. Rejects on an error that ends it at once; one that still has
   * leases to give back calls `host.fail` and continues until they are.
   */
  run(host: GroupHost, signal: AbortSignal): Promise<void>;
}

/** A group that works with every store. */
export interface Group extends AnyGroup {
  readonly needsLeases?: false;
}

/** A group that shares shards by leases: a consumer with it and another store does not compile. */
export interface LeasingGroup extends AnyGroup {
  readonly needsLeases: true;
}

/** What a group is given to work with. */
export interface GroupHost {
  readonly scope: StoreScope;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** How long to wait from one listing of the shards to the next, in milliseconds. */
  readonly discoveryIntervalMs: number;
  /** How long a shard that is handed over may take to finish its record in hand, in milliseconds. */
  readonly drainTimeoutMs: number;

  /**
   * Aborts when the scan is over: a group has until then to give its leases back, and calls neither
   * store nor stream afterwards.
   */
  readonly over: AbortSignal;

  /** Stops the scan because of an error, which it rejects with: the signal of `run` aborts. */
  fail(error: unknown): void;

  /** What keeps this process from reading what it was granted. */
  blockage(): Blockage;

  /** Resolves when Kinesis answers, and no handler runs any more whose shard was given up. @throws the signal's reason */
  untilAble(signal: AbortSignal): Promise<void>;

  /** One complete, unfiltered listing of the stream's shards; passing errors are retried. */
  listShards(signal: AbortSignal): Promise<readonly Shard[]>;

  /** All checkpoints of the application; passing errors are retried. */
  loadCheckpoints(signal: AbortSignal): Promise<ReadonlyMap<string, Checkpoint>>;

  /** Reads a shard until it ends, is handed over, is lost, or the consumer stops. Never rejects. */
  read(assignment: ShardAssignment): Promise<ShardOutcome>;
}

/** Durations in milliseconds; 0 = nothing does. */
export interface Blockage {
  /**
   * Since when no shard that is read here has had a page that was due, if calls for one of them fail.
   * Shards that have nothing to ask for say nothing.
   */
  readonly unreadForMs: number;
  /** Since when a shard has waited for a handler of this process that had it before. */
  readonly waitingForMs: number;
}

/** The right to read one shard, from a group to the scan. */
export interface ShardAssignment {
  readonly shardId: string;
  /** Where the work stands; undefined = nothing was ever done here. */
  readonly checkpoint: Checkpoint | undefined;
  /**
   * Was the shard already there when this scan began? Only then does the configured start apply;
   * a shard that appeared later is read from its first record.
   */
  readonly presentAtStart: boolean;
  /** Does it come after shards that were read; see `follows` in `start-position.ts`. */
  readonly afterParent: boolean;
  /**
   * The shard's hash keys; undefined = not known, or not known yet: a row of an earlier version has
   * none until the next listing.
   */
  readonly hashKeyRange: () => HashKeyRange | undefined;
  /**
   * The number with which the shard's records begin; undefined = not known yet. Where another worker lists the
   * shards, the listings of this one may not have it. @default what the last listing of this process says
   */
  readonly firstNumber?: () => string | undefined;
  /** Present when a lease is behind it: every checkpoint carries it, and the handler sees it. */
  readonly fence?: Fence;
  /**
   * Milliseconds left in which new records may start; 0 or less freezes the shard until a heartbeat
   * is acknowledged or the shard is taken back. @default for ever
   */
  readonly remainingMs?: () => number;
  /** Aborts when the shard is to be handed over, with its records in hand finished first. Its reason is a `HandOff`. */
  readonly handOff?: AbortSignal;
  /**
   * Aborts when another worker may own the shard already, also during a hand-off: it is stopped at
   * once, and nothing more is written. Its reason is a `LeaseLostError`.
   */
  readonly lost?: AbortSignal;
}

/** Why an assignment is taken back: finish the record in hand in that time, flush, let go. */
export interface HandOff {
  readonly kind: "hand-off";
  /** In milliseconds. */
  readonly deadlineMs: number;
}

/** How the reading of an assignment came to its end. */
export type ShardOutcome =
  /** Read to its end, and the end is checkpointed. The children may begin. */
  | { readonly kind: "ended"; readonly children: readonly Shard[] }
  /** Retention removed the shard from the stream, with what was unread in it. */
  | { readonly kind: "aged-out" }
  /** Handed over; everything that was delivered is finished, and flushed unless it was skipped. */
  | { readonly kind: "released"; readonly checkpoint: Checkpoint | undefined }
  /** Handed over; the deadline passed with a handler or a flush still under way. */
  | { readonly kind: "forced"; readonly checkpoint: Checkpoint | undefined }
  /** The lease is gone: a fence was refused, or the group said so. */
  | { readonly kind: "lost"; readonly detail: string }
  /** The consumer is stopping, by its signal or because another shard failed. */
  | { readonly kind: "stopped" }
  /** This shard failed; the consumer is stopping because of it. */
  | { readonly kind: "failed"; readonly error: KcError };
