import type { Checkpoint } from "./position.ts";
import type { CallOptions, Fence, Store, StoreCapabilities, StoreScope } from "./store.ts";

/**
 * A store in which several workers share one application's shards. Calls accept several leases and return
 * those that succeeded: losing a lease is a result, not an exception. Only durations and counters cross this
 * interface, never the time of day: no decision compares two machines' clocks, the database's included.
 *
 * It keeps two kinds of rows and one number:
 * - A **worker**'s row exists from its join until it leaves or is evicted. An incarnation whose row was
 *   removed is dead for ever: incarnations are random and never reused.
 * - A **lease**'s row exists from `putShards` until `removeShards`. The lease is *free* if it has no owner, or
 *   an owner whose worker row was removed. So eviction is one step, however many leases it frees.
 * - The **revision** of the application grows whenever a worker joins or leaves, or a lease's row is created,
 *   changed or removed. Heartbeats do not change it. It may grow without a change, and by more than one.
 *
 * The states of a lease: free → (acquire, epoch + 1) held → (release) free, or held → its owner's row is
 * removed → free. Only a forced `resetCheckpoint` also changes it: it releases the lease.
 *
 * Every call may be repeated after its reply was lost, and may take effect after its caller has abandoned it.
 */
export interface LeaseStore extends Store {
  readonly capabilities: StoreCapabilities & { readonly leases: true };

  /**
   * Inserts a worker's row, with its counter at 0. Also returns `joined` if this incarnation has a row
   * already. `duplicate`: the worker id has a row with another incarnation; nothing was changed.
   *
   * A store does not remember removed workers. So a call that takes effect after its incarnation was evicted
   * inserts the row again. No heartbeat follows, so it is evicted again.
   */
  joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): Promise<
    | { readonly outcome: "joined"; readonly revision: number }
    | { readonly outcome: "duplicate"; readonly incarnation: string }
  >;

  /**
   * Increments the worker's counter. `evicted`: this incarnation's row was removed, so it is dead. The
   * revision is not older than any that this store object has returned before.
   */
  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): Promise<
    | { readonly outcome: "alive"; readonly counter: number; readonly revision: number }
    | { readonly outcome: "evicted" }
  >;

  /** Returns every worker's row, and the revision: 0 if nothing was ever written. */
  listWorkers(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly workers: readonly WorkerRow[] }>;

  /**
   * Removes the row of an incarnation whose counter still is `counter`, in one compare-and-set.
   * `moved`: the worker has sent a heartbeat meanwhile. `gone`: there is no such row, because the worker has
   * left or was evicted before.
   */
  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): Promise<"evicted" | "moved" | "gone">;

  /** A graceful stop: removes this incarnation's row, if there is one. */
  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void>;

  /**
   * Inserts or updates the rows of different shards, each in one compare-and-set on what the caller saw:
   * inserts a row, free and with epoch 0, where there is none; sets the lineage of a row that still has the
   * lineage in `replaces`. Any other row stays unchanged, and so do the owner, epoch and checkpoint of all.
   */
  putShards(scope: StoreScope, shards: readonly ShardPut[], options?: CallOptions): Promise<void>;

  /** Returns every lease's row, with the shard's checkpoint. The revision is not newer than the rows. */
  listLeases(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly leases: readonly LeaseRow[] }>;

  /**
   * Claims the free leases among these shards, each with epoch + 1, for a worker that has a row: without one
   * it gets none. A lease that this incarnation already holds is returned unchanged. A shard without a row is
   * skipped. A shard whose row another transaction keeps locked may be skipped: its lease stays free. No two
   * calls get the same lease. A claim that runs concurrently with the eviction of its worker may return
   * leases or none: any lease that it was recorded for is free.
   */
  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]>;

  /** Releases the leases whose fence still holds, and returns their shard ids. */
  releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]>;

  /** Removes the rows and checkpoints of shards whose leases are free. A held shard is kept. */
  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void>;

  /**
   * Optional notifications: calls `onHint` when a worker has joined or left, or a lease was created or
   * released, until the signal aborts; then it resolves. A hint may arrive late, twice or never. A watch whose
   * connection broke reconnects by itself. It rejects only if it can never work.
   */
  watch?(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void>;
}

export interface WorkerIdentity {
  /** Any name without `#` and control characters, unique among the running workers. */
  readonly workerId: string;
  /** Random, and new at each join: an evicted worker rejoins as another incarnation. */
  readonly incarnation: string;
}

export interface WorkerMembership extends WorkerIdentity {
  /** The worker's share of the shards relative to other workers, above 0. */
  readonly weight: number;
  /** The most shards that the worker holds; undefined = no limit. */
  readonly maxShards: number | undefined;
}

export interface WorkerRow extends WorkerMembership {
  /** Incremented by each heartbeat. Observers measure with their own clock for how long it has not changed. */
  readonly counter: number;
}

export interface ShardLineage {
  readonly shardId: string;
  /** Core's encoded description of the shard. Stores keep it unchanged. */
  readonly lineage: string;
}

export interface ShardPut extends ShardLineage {
  /** The lineage that the caller saw in the shard's row. @default the caller saw no row */
  readonly replaces?: string;
}

export interface LeaseRow extends ShardLineage {
  /** As in a fence; undefined = none. If its worker's row was removed, the lease is free. */
  readonly owner: string | undefined;
  /** 0 = never held. */
  readonly epoch: number;
  readonly checkpoint: Checkpoint | undefined;
}

export interface AcquiredLease {
  readonly shardId: string;
  readonly fence: Fence;
  /** Read in the same atomic step as the claim, or after it. */
  readonly checkpoint: Checkpoint | undefined;
}

/** The name of a worker in fences and lease rows: `workerId#incarnation`. */
export function ownerOf({ workerId, incarnation }: WorkerIdentity): string {
  return `${workerId}#${incarnation}`;
}
