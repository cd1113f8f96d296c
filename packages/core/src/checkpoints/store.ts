import type { KcError } from "../errors.ts";
import type { Checkpoint } from "./position.ts";

/**
 * Where progress is kept. A store writes when it is called: coalescing, flush intervals and
 * retries live once, in the checkpointer. What every store must keep is proved by the suite in
 * `@kc/conformance`; `docs/writing-a-store.md` walks through it.
 */
export interface Store {
  readonly capabilities: StoreCapabilities;

  /**
   * Makes or upgrades the schema. Idempotent, and safe when several processes call it at once.
   * Never called by the consumer: a store must also work on a schema that others created.
   */
  setup?(options?: CallOptions): Promise<void>;

  /**
   * Puts the application row unless there is one already, in one atomic step, and answers
   * with the row that stands afterwards. Of two callers at once exactly one gets `created`.
   */
  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ readonly outcome: "created" | "existing"; readonly row: ApplicationRow }>;

  /** Undefined = none was ever written. An outage throws; it is never 'undefined'. */
  getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined>;

  /** All checkpoints of the application, by shard id, read from the primary in one round trip. */
  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>>;

  /**
   * Writes a checkpoint unless a later one is stored: monotonic and fenced, in one atomic
   * step. @throws LeaseLostError if the fence no longer holds.
   */
  setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult>;

  /**
   * Several writes, of different shards, in one round trip where the database can. Each is atomic
   * by itself. Answers in the order of the writes. A lost fence is an outcome here, not an error, and
   * so is a failure of some of the writes: the others need not wait for those.
   * @throws StoreError if it failed for all of them, or nothing is known of any
   */
  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]>;

  /**
   * The one way back: puts the checkpoint to `to`, or removes it (`undefined` = the shard is read
   * from the application's start again). A store with fences throws LeaseLostError while a worker
   * holds the shard, unless `force`; it raises the shard's epoch and takes the lease away, so that
   * its former owner is fenced out.
   */
  resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void>;

  /** Closes what this store opened, never what it was given. Idempotent. */
  close(): Promise<void>;

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a store can do, as data: core and the conformance suite read it. */
export interface StoreCapabilities {
  /** True for a `LeaseStore`. */
  readonly leases: boolean;
  /**
   * Does it compare a write's fence with the shard's lease? True for every `LeaseStore`, and for a
   * store that shares its data with one. A store without fences ignores them.
   */
  readonly fences: boolean;
  /** The checkpointer's flush interval unless the user sets one, in milliseconds. */
  readonly flushIntervalMs: number;
  /**
   * `together`: all shards that are due go into one bulk write. `spread`: each shard has a moment
   * of its own within the interval, for stores that pay or throttle by the item.
   */
  readonly flush: "together" | "spread";
  /**
   * The longest `ahead` of a checkpoint that the store keeps, in bytes. It belongs to its position: a
   * writer that knows nothing of it and moves the position ends it. @default 0, and it is given none
   */
  readonly maxAheadBytes?: number;
}

export interface CallOptions {
  /** Ends the call early: it rejects with the signal's reason. The write may still have happened. */
  readonly signal?: AbortSignal;
}

/** Whose progress: one application's on one stream. `a-b` + `c` and `a` + `b-c` are different. */
export interface StoreScope {
  readonly application: string;
  readonly streamName: string;
}

export interface CheckpointWrite {
  readonly shardId: string;
  readonly checkpoint: Checkpoint;
  /** Given whenever the shard is held by a lease; absent under an `AllGroup`. */
  readonly fence?: Fence;
}

/**
 * The right to write a shard's checkpoint: the lease's epoch *and* the owner's incarnation, both
 * compared in the same atomic step as the write. A write without a fence to a shard that has an
 * owner is refused, and so is a fenced write to a shard that has none.
 */
export interface Fence {
  /** Grows by one at each change of the lease's owner; at least 1. */
  readonly epoch: number;
  /** `workerId#incarnation`. */
  readonly owner: string;
}

/** `stored` is what the store has after the call. */
export interface SetCheckpointResult {
  /**
   * `written`: it moved forward. `same`: it stood there already (a retry after a lost reply): a
   * success. `behind`: the store is further on (two deploys overlap): nothing was written.
   */
  readonly outcome: "written" | "same" | "behind";
  readonly stored: Checkpoint;
}

export type BulkCheckpointResult =
  | SetCheckpointResult
  | { readonly outcome: "lease-lost" }
  | FailedWrite;

/**
 * One write of several that failed by itself, such as one whose row another transaction has locked.
 * With a retryable error the consumer sends it again; any other ends the scan.
 */
export interface FailedWrite {
  readonly outcome: "failed";
  /** Names the shard. */
  readonly error: KcError;
}

/** Where a first start begins to read. */
export type StartPosition = "LATEST" | "TRIM_HORIZON" | { readonly timestamp: Date };

/**
 * The durable memory of an application's first start. Stores keep it as it is and compare nothing
 * but the scope; what it means is decided in `application.ts`.
 */
export interface ApplicationRow {
  readonly application: string;
  readonly streamName: string;
  readonly streamARN: string;
  /** Absent where the service does not give it (some emulators). */
  readonly streamCreationTimestamp?: Date;
  readonly start: StartPosition;
  /** The service's clock at the first start, minus 5 s. */
  readonly startedAt: Date;
  /** Checkpoints stood there before the row did: they come from the Go library. */
  readonly migrated: boolean;
}
