import type { Checkpoint } from "./position.ts";
import type { CallOptions, Fence, Store, StoreScope } from "./store.ts";

/**
 * A store in which several workers share one application's shards. Batch in, survivors out: losing
 * a lease is data, not an exception. Durations and counters cross this interface, never the time of
 * day: no decision compares two machines' clocks, the database's included.
 *
 * A lease's life: free → (acquire, epoch + 1) held → (release) free, or held → its owner's
 * incarnation is evicted → free. Nothing else moves it.
 */
export interface LeaseStore extends Store {
  readonly capabilities: Store["capabilities"] & { readonly leases: true };

  /**
   * Enters a worker. `duplicate` = this worker id lives under another incarnation; who restarts
   * after a crash waits until that one is evicted.
   */
  joinWorker(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): Promise<
    | { readonly outcome: "joined"; readonly revision: number }
    | { readonly outcome: "duplicate"; readonly incarnation: string }
  >;

  /** Adds one to the worker's counter. `evicted` = this incarnation is dead for ever. */
  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): Promise<
    | { readonly outcome: "alive"; readonly counter: number; readonly revision: number }
    | { readonly outcome: "evicted" }
  >;

  /** Every worker row, and the revision: it grows whenever workers or leases change. */
  listWorkers(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly workers: readonly WorkerRow[] }>;

  /**
   * Marks an incarnation dead if its counter still is `counter`, in one compare-and-set, and frees
   * its leases. `moved` = it has beaten meanwhile. `gone` = it left or was evicted by another.
   */
  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): Promise<"evicted" | "moved" | "gone">;

  /** A graceful stop: removes the worker's row and frees whatever it still holds. */
  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void>;

  listLeases(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly leases: readonly LeaseRow[] }>;

  /**
   * Claims those of the shards that are free, for a worker that is alive, each with epoch + 1.
   * Answers with the leases now held by this call, checkpoints included.
   */
  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]>;

  /** Gives back those leases whose fence still holds; answers with their shard ids. */
  releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]>;

  /** Removes ended shards that no complete listing names any more. A held shard stays. */
  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void>;

  /**
   * Optional push: calls `onHint` when something may have changed, until the signal aborts. Only a
   * hint: polling alone is correct.
   */
  watch?(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void>;
}

export interface WorkerIdentity {
  readonly workerId: string;
  /** Random, new at each join: a worker that was evicted comes back as another incarnation. */
  readonly incarnation: string;
  /** Its share in the assignment. Default 1. */
  readonly weight?: number;
  /** The most shards it takes. Default unlimited. */
  readonly maxShards?: number;
}

export interface WorkerRow extends WorkerIdentity {
  /** Grows with each heartbeat. Observers watch it stand still by their own clock. */
  readonly counter: number;
}

export interface LeaseRow {
  readonly shardId: string;
  /** Undefined = free. */
  readonly owner: string | undefined;
  /** 0 = never held. */
  readonly epoch: number;
  readonly checkpoint: Checkpoint | undefined;
}

export interface AcquiredLease {
  readonly shardId: string;
  readonly fence: Fence;
  readonly checkpoint: Checkpoint | undefined;
}
