import type { KcError } from "../errors.ts";
import type { Checkpoint } from "./position.ts";

/**
 * The storage of checkpoints. A store writes when it is called: coalescing, flush intervals and retries are
 * implemented once, in the checkpointer. The suite in `@kc/conformance` tests what every store must
 * guarantee; `docs/writing-a-store.md` explains it.
 */
export interface Store {
  readonly capabilities: StoreCapabilities;

  /**
   * Creates or upgrades the schema. Idempotent, and safe when several processes call it concurrently.
   * The consumer never calls it: a store must also work on a schema that was created by other means.
   */
  setup?(options?: CallOptions): Promise<void>;

  /**
   * Inserts the application row if there is none, in one atomic step, and returns the row that is stored
   * afterwards. Of two concurrent callers exactly one gets `created`.
   */
  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ readonly outcome: "created" | "existing"; readonly row: ApplicationRow }>;

  /** Returns undefined if none was ever written. @throws StoreError in an outage, never `undefined` */
  getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined>;

  /** Returns all checkpoints of the application, by shard id, read from the primary in one round trip. */
  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>>;

  /**
   * Writes a checkpoint unless a later one is stored. The comparison of checkpoint and fence and the write
   * are one atomic step. @throws LeaseLostError if the fence no longer holds
   */
  setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult>;

  /**
   * Writes checkpoints of different shards, in one round trip if the database can. Each write is atomic by
   * itself. The results are in the order of the writes. A lost fence is an outcome here, not an error, and so
   * is a failure of some of the writes, so that the others need not be repeated.
   * @throws StoreError if all writes failed, or if their outcomes are unknown
   */
  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]>;

  /**
   * The only way to move a checkpoint back: sets it to `to`, or removes it if `to` is undefined: then the
   * shard is read from the application's start again. A store with fences throws LeaseLostError while a
   * worker holds the shard, unless `force` is set. It raises the shard's epoch and releases the lease, so that
   * the former owner is fenced out.
   */
  resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void>;

  /** Closes the resources that this store opened, never those that it was given. Idempotent. */
  close(): Promise<void>;

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a store supports. Core and the conformance suite read it. */
export interface StoreCapabilities {
  /** True for a `LeaseStore`. */
  readonly leases: boolean;
  /**
   * Whether it compares a write's fence with the shard's lease. True for every `LeaseStore`, and for a
   * store that shares its data with one. A store without fences ignores them.
   */
  readonly fences: boolean;
  /** The default flush interval of the checkpointer, in milliseconds. */
  readonly flushIntervalMs: number;
  /**
   * `together`: one bulk write for all due shards. `spread`: each shard has its own offset within the
   * interval, for stores that bill or throttle per item.
   */
  readonly flush: "together" | "spread";
  /**
   * The longest `ahead` of a checkpoint that the store can keep, in bytes. It belongs to its position: when a
   * writer that does not know `ahead` moves the position, the stored `ahead` no longer applies.
   * @default 0: the store gets none
   */
  readonly maxAheadBytes?: number;
}

export interface CallOptions {
  /** Ends the call early: it rejects with the signal's reason. The write may still take effect. */
  readonly signal?: AbortSignal;
}

/** One application on one stream. `a-b` on `c` and `a` on `b-c` are different scopes. */
export interface StoreScope {
  readonly application: string;
  readonly streamName: string;
}

export interface CheckpointWrite {
  readonly shardId: string;
  readonly checkpoint: Checkpoint;
  /** Present if the shard is held by a lease; absent with an `AllGroup`. */
  readonly fence?: Fence;
}

/**
 * The fencing token that gives the right to write a shard's checkpoint: the lease's epoch *and* the owner's
 * incarnation, both compared in the same atomic step as the write. A write without a fence to a shard that
 * has an owner is refused, and so is a fenced write to a shard that has none.
 */
export interface Fence {
  /** Incremented at each change of the lease's owner; at least 1. */
  readonly epoch: number;
  /** `workerId#incarnation`. */
  readonly owner: string;
}

/** The result of a write. */
export interface SetCheckpointResult {
  /**
   * `written`: the checkpoint moved forward. `same`: it was stored already, such as after a retry: a
   * success. `behind`: a later one is stored, such as when two deployments overlap: nothing was written.
   */
  readonly outcome: "written" | "same" | "behind";
  /** What the store has after the call. */
  readonly stored: Checkpoint;
}

export type BulkCheckpointResult =
  | SetCheckpointResult
  | { readonly outcome: "lease-lost" }
  | FailedWrite;

/**
 * A write that failed while others of the same call succeeded, for example because another transaction has
 * locked its row. After a retryable error the consumer sends it again; any other error ends the scan.
 */
export interface FailedWrite {
  readonly outcome: "failed";
  /** Its message names the shard. */
  readonly error: KcError;
}

/** Where an application's first start begins to read. */
export type StartPosition = "LATEST" | "TRIM_HORIZON" | { readonly timestamp: Date };

/**
 * The durable record of an application's first start. Stores keep it unchanged and compare only the scope;
 * `application.ts` interprets it.
 */
export interface ApplicationRow {
  readonly application: string;
  readonly streamName: string;
  readonly streamARN: string;
  /** Absent if the service does not return it, as some emulators do not. */
  readonly streamCreationTimestamp?: Date;
  readonly start: StartPosition;
  /** The service's clock at the first start, minus 5 s. */
  readonly startedAt: Date;
  /** True if checkpoints existed before this row: they were written by the Go library. */
  readonly migrated: boolean;
}
