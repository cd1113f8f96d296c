import { aborted, unlessAborted } from "../deadline.ts";
import { LeaseLostError, StoreError } from "../errors.ts";
import type {
  AcquiredLease,
  LeaseStore,
  ShardPut,
  WorkerIdentity,
  WorkerMembership,
} from "./lease-store.ts";
import { checkOptionNames } from "../options/option-names.ts";
import { MemoryStoreData } from "./memory-data.ts";
import { MemoryLeases } from "./memory-leases.ts";
import { MemoryTransaction } from "./memory-transaction.ts";
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
import type {
  CheckpointInResult,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
} from "./transactional-store.ts";
import { misused } from "./transaction-misuse.ts";
import { singleResult, transactionOutcome, writeOutcome } from "./write-outcome.ts";

/**
 * A store in this process's memory, for tests and as the reference implementation. Its contents are lost
 * when the process ends.
 */
export class MemoryStore
  implements LeaseStore, TransactionalStore<MemoryTransaction, MemoryTransaction>
{
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #data: MemoryStoreData;
  #closed = false;

  /**
   * @param options `data`: the store's contents, to share them among several stores. @default its own
   * @throws ConfigError for an option that does not exist
   */
  constructor(options: { readonly data?: MemoryStoreData } = {}) {
    checkOptionNames("MemoryStore", options, ["data"]);
    this.#data = options.data ?? new MemoryStoreData();
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    this.#enter(options);
    const application = this.#data.application(scope);
    if (application.row) return { outcome: "existing", row: structuredClone(application.row) };
    application.row = structuredClone(row);
    return { outcome: "created", row };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    this.#enter(options);
    return this.#data.application(scope).shards.get(shardId)?.checkpoint;
  }

  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    this.#enter(options);
    const checkpoints = new Map<string, Checkpoint>();
    for (const [shardId, { checkpoint }] of this.#data.application(scope).shards) {
      if (checkpoint) checkpoints.set(shardId, checkpoint);
    }
    return checkpoints;
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    this.#enter(options);
    return singleResult(write, this.#write(scope, write));
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    this.#enter(options);
    return writes.map((write) => this.#write(scope, write));
  }

  async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: MemoryTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    this.#enter(options);
    const tx = new MemoryTransaction();
    try {
      const value = await unlessAborted(options?.signal, work(tx));
      this.#enter(options);
      if (tx.isOver) {
        const why = "the handler ended the transaction itself, without its checkpoint";
        throw misused(write.shardId, why);
      }
      const result = this.#writeIn(tx, scope, write);
      if (result.outcome !== "written") return result;
      tx.commit();
      return { outcome: "committed", value };
    } finally {
      tx.rollback();
    }
  }

  async checkpointIn(
    executor: MemoryTransaction,
    scope: StoreScope,
    write: TransactionalWrite,
    options?: CallOptions,
  ): Promise<CheckpointInResult> {
    this.#enter(options);
    return this.#writeIn(executor, scope, write);
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    this.#enter(options);
    const application = this.#data.application(scope);
    const shard = application.shard(shardId);
    if (shard.owner !== undefined && !options?.force) {
      throw new LeaseLostError(shardId, `${shard.owner} holds it; stop it, or force the reset`);
    }
    shard.checkpoint = to && Object.freeze({ ...to });
    shard.epoch += 1;
    shard.owner = undefined;
    application.revision += 1;
  }

  async joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): ReturnType<LeaseStore["joinWorker"]> {
    return this.#leases(scope, options).join(worker);
  }

  async heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): ReturnType<LeaseStore["heartbeat"]> {
    return this.#leases(scope, options).heartbeat(worker);
  }

  async listWorkers(
    scope: StoreScope,
    options?: CallOptions,
  ): ReturnType<LeaseStore["listWorkers"]> {
    return this.#leases(scope, options).listWorkers();
  }

  async evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): ReturnType<LeaseStore["evictWorker"]> {
    return this.#leases(scope, options).evict(worker);
  }

  async leaveWorker(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): Promise<void> {
    this.#leases(scope, options).leave(worker);
  }

  async putShards(
    scope: StoreScope,
    shards: readonly ShardPut[],
    options?: CallOptions,
  ): Promise<void> {
    this.#leases(scope, options).put(shards);
  }

  async listLeases(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listLeases"]> {
    return this.#leases(scope, options).listLeases();
  }

  async acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]> {
    return this.#leases(scope, options).acquire(worker, shardIds);
  }

  async releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return this.#leases(scope, options).release(leases);
  }

  async removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    this.#leases(scope, options).remove(shardIds);
  }

  async watch(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void> {
    this.#enter(undefined);
    const { watchers } = this.#data.application(scope);
    watchers.add(onHint);
    await aborted(signal);
    watchers.delete(onHint);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #write(scope: StoreScope, write: CheckpointWrite): BulkCheckpointResult {
    const shard = this.#data.shard(scope, write.shardId);
    const result = writeOutcome(write, shard, shard.checkpoint);
    if (result.outcome === "written") shard.checkpoint = Object.freeze({ ...write.checkpoint });
    return result;
  }

  /** Holds no lock until the commit, so the outcome is checked again then. */
  #writeIn(
    tx: MemoryTransaction,
    scope: StoreScope,
    write: TransactionalWrite,
  ): CheckpointInResult {
    const row = () => this.#data.shard(scope, write.shardId);
    const outcomeNow = () => transactionOutcome(write, row(), row().checkpoint);
    const result = outcomeNow();
    if (result.outcome !== "written") return result;
    tx.guard(() => {
      if (outcomeNow().outcome === "written") return;
      throw new StoreError(
        "STORE_UNAVAILABLE",
        `${write.shardId}: the shard's row was changed before the transaction was committed`,
        { retryable: true, shardId: write.shardId },
      );
    });
    tx.add(() => (row().checkpoint = Object.freeze({ ...write.checkpoint })));
    return result;
  }

  #leases(scope: StoreScope, options: CallOptions | undefined): MemoryLeases {
    this.#enter(options);
    return new MemoryLeases(this.#data.application(scope));
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closed) throw new StoreError("STORE_CLOSED", "the memory store was disposed");
    options?.signal?.throwIfAborted();
  }
}
