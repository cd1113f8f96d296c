import type { Clock } from "../clock.ts";
import type { Checkpoint } from "../checkpoints/position.ts";
import type { Fence, Store, StoreScope } from "../checkpoints/store.ts";
import type { KcError } from "../errors.ts";
import type { HashKeyRange } from "../kinesis/hash-key-range.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/**
 * Decides which shards this process reads, and when. It grants a shard by calling `host.read`, and revokes the grant
 * by aborting the assignment's `handOff` or `lost` signal. A group must
 * - grant a shard only if each of its parents has ended, or is missing in a complete listing that names the shard
 *   itself and is no longer read by any worker;
 * - not grant a shard again before the promise of its last grant has settled;
 * - return from `run` soon after `signal` aborts. The scan itself waits for the shards.
 */
export interface AnyGroup {
  /** True if the group requires a `LeaseStore`. @default false */
  readonly needsLeases?: boolean;

  /** Checks the consumer's store. @throws ConfigError if the group cannot work with it */
  validate?(store: Store | undefined): void;

  /**
   * What the running group still needs before it can grant shards, for the consumer's status; undefined = nothing.
   * Without this member, a group counts as lacking shards until it has granted one.
   */
  readonly lacks?: "membership" | "shards" | undefined;

  /** Timeout of a checkpoint write in milliseconds, to fit the group's own deadlines. @default 30000 */
  readonly storeTimeoutMs?: number;

  /**
   * Runs until the signal aborts. Rejects on an error that ends the group immediately. A group that has leases to
   * release first calls `host.fail`, and continues until they are released.
   */
  run(host: GroupHost, signal: AbortSignal): Promise<void>;
}

/** A group that works with every store. */
export interface Group extends AnyGroup {
  readonly needsLeases?: false;
}

/** A group that shares shards by leases. The types of a consumer then require a `LeaseStore`. */
export interface LeasingGroup extends AnyGroup {
  readonly needsLeases: true;
}

/** The interface of a scan to its group. */
export interface GroupHost {
  readonly scope: StoreScope;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** Milliseconds between listings of the shards. */
  readonly discoveryIntervalMs: number;
  /** How long a hand-off may take to finish records in flight, in milliseconds. */
  readonly drainTimeoutMs: number;

  /**
   * Aborts when the scan has ended. The group must release its leases before, and must not call the store or the
   * stream afterwards.
   */
  readonly over: AbortSignal;

  /** Stops the scan, which rejects with this error. The signal of `run` aborts. */
  fail(error: unknown): void;

  /** Reports what prevents this process from reading the shards that it was granted. */
  blockage(): Blockage;

  /** Resolves when Kinesis answers and all handlers of abandoned shards have returned. @throws the signal's reason */
  untilAble(signal: AbortSignal): Promise<void>;

  /** Lists all shards of the stream, complete and unfiltered. Temporary errors are retried. */
  listShards(signal: AbortSignal): Promise<readonly Shard[]>;

  /** Loads all checkpoints of the application. Temporary errors are retried. */
  loadCheckpoints(signal: AbortSignal): Promise<ReadonlyMap<string, Checkpoint>>;

  /** Reads a shard until it ends, is handed over, is lost, or the consumer stops. Never rejects. */
  read(assignment: ShardAssignment): Promise<ShardOutcome>;
}

/** What prevents reading: durations in milliseconds; 0 = nothing does. */
export interface Blockage {
  /**
   * If Kinesis calls fail: how long no shard here has received a page that was due. Shards that are not requesting a
   * page do not count.
   */
  readonly unreadForMs: number;
  /** How long a shard has waited for an earlier handler of this process to return. */
  readonly waitingForMs: number;
}

/** The right to read one shard, granted by a group to the scan. */
export interface ShardAssignment {
  readonly shardId: string;
  /** The stored progress; undefined = none. */
  readonly checkpoint: Checkpoint | undefined;
  /**
   * Whether the shard existed when this scan began. Only then does the configured start position apply; a shard that
   * appeared later is read from its first record.
   */
  readonly presentAtStart: boolean;
  /** Whether the shard follows shards that were read: see `follows` in `start-position.ts`. */
  readonly afterParent: boolean;
  /**
   * The hash keys of the shard; undefined = not known (yet): a row of an earlier version has none before the next
   * listing.
   */
  readonly hashKeyRange: () => HashKeyRange | undefined;
  /**
   * The starting sequence number of the shard; undefined = not known yet, for example if another worker lists the
   * shards. @default the one of this process's last listing
   */
  readonly firstNumber?: () => string | undefined;
  /** The fence of the shard's lease, if there is one: every checkpoint carries it, and the handler sees it. */
  readonly fence?: Fence;
  /**
   * Milliseconds left in which new records may start; at 0 or less the shard pauses until a heartbeat is acknowledged
   * or the grant is revoked. @default no limit
   */
  readonly remainingMs?: () => number;
  /** Aborts to hand the shard over, after records in flight are finished. Its reason is a `HandOff`. */
  readonly handOff?: AbortSignal;
  /**
   * Aborts when another worker may own the shard, also during a hand-off: the shard is stopped immediately, and
   * nothing more is written. Its reason is a `LeaseLostError`.
   */
  readonly lost?: AbortSignal;
}

/** A request to release a shard: finish the records in flight within the deadline, then flush. */
export interface HandOff {
  readonly kind: "hand-off";
  /** In milliseconds. */
  readonly deadlineMs: number;
}

/** How reading an assignment ended. */
export type ShardOutcome =
  /** The shard was read to its end, which is checkpointed. Its children may be read. */
  | { readonly kind: "ended"; readonly children: readonly Shard[] }
  /** Retention removed the shard from the stream, with its unread records. */
  | { readonly kind: "aged-out" }
  /** Handed over: all delivered records are finished, and flushed unless they were skipped. */
  | { readonly kind: "released"; readonly checkpoint: Checkpoint | undefined }
  /** The deadline of a hand-off or stop passed with a handler or a flush still running. */
  | { readonly kind: "forced"; readonly checkpoint: Checkpoint | undefined }
  /** The lease was lost: a fence was refused, or the group aborted `lost`. */
  | { readonly kind: "lost"; readonly detail: string }
  /** The consumer is stopping, by its signal or because another shard failed. */
  | { readonly kind: "stopped" }
  /** This shard failed, and so the consumer is stopping. */
  | { readonly kind: "failed"; readonly error: KcError };
