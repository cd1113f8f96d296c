import type { Checkpoint } from "./position.ts";
import type { CallOptions, Fence, Store, StoreCapabilities, StoreScope } from "./store.ts";

/**
 * A store in which several workers share one application's shards. Batch in, survivors out: losing
 * a lease is data, not an exception. Durations and counters cross this interface, never the time of
 * day: no decision compares two machines' clocks, the database's included.
 *
 * Two kinds of rows, and one number:
 * - A **worker**'s row stands from its join until it leaves or is evicted. An incarnation whose row
 *   is gone is dead for ever: incarnations are random and never used again.
 * - A **lease**'s row stands from `putShards` until `removeShards`. It is *free* if it has no owner,
 *   or one whose worker's row is gone. So eviction is one step, however many leases it frees.
 * - The **revision** of the application grows whenever a worker comes or goes, or a lease's row is
 *   created, changed or removed. Heartbeats do not move it. It may grow without a change, and by more
 *   than one.
 *
 * A lease's life: free → (acquire, epoch + 1) held → (release) free, or held → its owner's row goes
 * → free. Nothing else moves it, but a forced `resetCheckpoint`, which takes it away.
 *
 * Every call may be repeated after its reply was lost, and may take effect after its caller gave up.
 */
export interface LeaseStore extends Store {
  readonly capabilities: StoreCapabilities & { readonly leases: true };

  /**
   * Enters a worker, with its counter at 0. `joined` too if this very incarnation is there already.
   * `duplicate` = the worker id lives under another incarnation: nothing was changed.
   *
   * A store remembers nothing of those that are gone. So a call that takes effect after its
   * incarnation was evicted puts the row back. No heartbeat follows, and it is evicted again.
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
   * Adds one to the worker's counter. `evicted` = this incarnation's row is gone: it is dead. The
   * revision is not older than any that this store object has answered before.
   */
  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): Promise<
    | { readonly outcome: "alive"; readonly counter: number; readonly revision: number }
    | { readonly outcome: "evicted" }
  >;

  /** Every worker's row, and the revision: 0 where nothing was ever written. */
  listWorkers(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly workers: readonly WorkerRow[] }>;

  /**
   * Removes the row of an incarnation whose counter still is `counter`, in one compare-and-set.
   * `moved` = it has beaten meanwhile. `gone` = its row is not there: it left, or another was first.
   */
  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): Promise<"evicted" | "moved" | "gone">;

  /** A graceful stop: removes this incarnation's row, if it is there. */
  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void>;

  /**
   * Puts the rows of different shards, each in one compare-and-set on what its caller saw: makes a
   * row, free and with epoch 0, where there is none; sets the lineage of a row that still has the one
   * to be replaced. Any other row is left as it is, and so are owner, epoch and checkpoint of all.
   */
  putShards(scope: StoreScope, shards: readonly ShardPut[], options?: CallOptions): Promise<void>;

  /** Every lease's row, with the shard's checkpoint. The revision is not newer than the rows. */
  listLeases(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly leases: readonly LeaseRow[] }>;

  /**
   * Claims those of the shards whose leases are free, each with epoch + 1, for a worker whose row is
   * there: without one it gets nothing. A lease that this incarnation holds already is answered as
   * it stands. A shard without a row is passed over, and one may be whose row another transaction has
   * locked for long: its lease stays free. No two calls get one lease. A claim that meets its worker's
   * eviction may answer either way: what it has put its name to is free.
   */
  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]>;

  /** Gives back those leases whose fence still holds, and answers with their shard ids. */
  releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]>;

  /** Removes the rows and checkpoints of shards whose leases are free. A held shard stays. */
  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void>;

  /**
   * Optional push: calls `onHint` when a worker came or went, or a lease was created or given back,
   * until the signal aborts; then it resolves. Only a hint: it may come late, twice or never, and a
   * watch whose connection broke reconnects by itself. It rejects only if it can never work.
   */
  watch?(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void>;
}

export interface WorkerIdentity {
  /** Any name without `#` and control characters, unique among those that live. */
  readonly workerId: string;
  /** Random, new at each join: a worker that was evicted comes back as another incarnation. */
  readonly incarnation: string;
}

export interface WorkerMembership extends WorkerIdentity {
  /** Its share in the assignment, above 0. */
  readonly weight: number;
  /** The most shards it takes; undefined = no limit. */
  readonly maxShards: number | undefined;
}

export interface WorkerRow extends WorkerMembership {
  /** Grows with each heartbeat. Observers watch it stand still by their own clock. */
  readonly counter: number;
}

export interface ShardLineage {
  readonly shardId: string;
  /** Core's own text about the shard. Stores keep it unchanged. */
  readonly lineage: string;
}

export interface ShardPut extends ShardLineage {
  /** The lineage that the caller saw in the shard's row. @default it saw no row */
  readonly replaces?: string;
}

export interface LeaseRow extends ShardLineage {
  /** As in a fence; undefined = none. Its worker's row may be gone: then the lease is free. */
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

/** The owner as fences and lease rows name it: `workerId#incarnation`. */
export function ownerOf({ workerId, incarnation }: WorkerIdentity): string {
  return `${workerId}#${incarnation}`;
}
