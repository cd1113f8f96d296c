import type {
  AcquiredLease,
  LeaseStore,
  ShardPut,
  WorkerIdentity,
  WorkerMembership,
} from "./lease-store.ts";
import type { Checkpoint } from "./position.ts";
import type {
  ApplicationRow,
  BulkCheckpointResult,
  CallOptions,
  CheckpointWrite,
  Fence,
  SetCheckpointResult,
  StoreScope,
} from "./store.ts";
import { singleResult } from "./write-outcome.ts";

/** The parts of a lease store, by the kind of rows that they keep. */
export interface LeaseStoreParts {
  readonly checkpoints: {
    get: LeaseStore["getCheckpoint"];
    all: LeaseStore["getCheckpoints"];
    set: LeaseStore["setCheckpoints"];
    reset: LeaseStore["resetCheckpoint"];
  };
  readonly workers: {
    join: LeaseStore["joinWorker"];
    heartbeat: LeaseStore["heartbeat"];
    list: LeaseStore["listWorkers"];
    evict: LeaseStore["evictWorker"];
    leave: LeaseStore["leaveWorker"];
  };
  readonly leases: {
    put: LeaseStore["putShards"];
    list: LeaseStore["listLeases"];
    acquire: LeaseStore["acquireLeases"];
    release: LeaseStore["releaseLeases"];
    remove: LeaseStore["removeShards"];
  };
}

/** A lease store that delegates each call to one of its parts. `LeaseStore` documents the calls. */
export abstract class LeaseStoreOfParts implements LeaseStore {
  abstract readonly capabilities: LeaseStore["capabilities"];
  readonly #checkpoints: LeaseStoreParts["checkpoints"];
  readonly #workers: LeaseStoreParts["workers"];
  readonly #leases: LeaseStoreParts["leases"];

  constructor({ checkpoints, workers, leases }: LeaseStoreParts) {
    this.#checkpoints = checkpoints;
    this.#workers = workers;
    this.#leases = leases;
  }

  abstract openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }>;

  abstract close(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    return this.#checkpoints.get(scope, shardId, options);
  }

  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#checkpoints.all(scope, options);
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    const [result] = await this.setCheckpoints(scope, [write], options);
    return singleResult(write, result);
  }

  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    return this.#checkpoints.set(scope, writes, options);
  }

  resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    return this.#checkpoints.reset(scope, shardId, to, options);
  }

  joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): ReturnType<LeaseStore["joinWorker"]> {
    return this.#workers.join(scope, worker, options);
  }

  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): ReturnType<LeaseStore["heartbeat"]> {
    return this.#workers.heartbeat(scope, worker, options);
  }

  listWorkers(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listWorkers"]> {
    return this.#workers.list(scope, options);
  }

  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): ReturnType<LeaseStore["evictWorker"]> {
    return this.#workers.evict(scope, worker, options);
  }

  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void> {
    return this.#workers.leave(scope, worker, options);
  }

  putShards(scope: StoreScope, shards: readonly ShardPut[], options?: CallOptions): Promise<void> {
    return this.#leases.put(scope, shards, options);
  }

  listLeases(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listLeases"]> {
    return this.#leases.list(scope, options);
  }

  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]> {
    return this.#leases.acquire(scope, worker, shardIds, options);
  }

  releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return this.#leases.release(scope, leases, options);
  }

  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    return this.#leases.remove(scope, shardIds, options);
  }
}
