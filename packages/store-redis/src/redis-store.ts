import type {
  AcquiredLease,
  ApplicationRow,
  BulkCheckpointResult,
  CallOptions,
  Checkpoint,
  CheckpointWrite,
  DeadLetterTable,
  Fence,
  LeaseStore,
  SetCheckpointResult,
  ShardPut,
  StoreScope,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
  WorkerIdentity,
  WorkerMembership,
} from "@kc/core";
import { singleResult, StatementsDeadLetterTable } from "@kc/core/adapter";
import { Applications } from "./applications.ts";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { RedisLetters } from "./dead-letters.ts";
import { Leases } from "./leases.ts";
import { checkOptions, type RedisStoreOptions } from "./options.ts";
import type { RedisTransaction } from "./transaction.ts";
import { Transactions } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Progress and leases in Redis: a server with or without replicas, or a cluster. There is no schema, so there
 * is no `setup`. The first call connects, not the constructor.
 */
export class RedisStore implements LeaseStore, TransactionalStore<RedisTransaction> {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #keyPrefix: string;
  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #applications: Applications;
  readonly #checkpoints: Checkpoints;
  readonly #workers: Workers;
  readonly #leases: Leases;
  readonly #transactions: Transactions;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: RedisStoreOptions) {
    const checked = checkOptions(options);
    this.#keyPrefix = checked.keyPrefix;
    this.#connection = new Connection(checked);
    this.#calls = new Calls(this.#connection, checked.keyPrefix);
    this.#applications = new Applications(this.#calls, checked.searchForGo);
    this.#checkpoints = new Checkpoints(this.#calls, this.#applications);
    this.#workers = new Workers(this.#calls);
    this.#leases = new Leases(this.#calls, this.#applications, this.#workers);
    this.#transactions = new Transactions(this.#calls, this.#applications);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    return this.#applications.open(scope, row, options);
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
    return this.#workers.beat(scope, worker, options);
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

  /**
   * The commands that `work` collects run in one script with the checkpoint, when `work` has ended. **Redis
   * does not undo what a script has done**: where a command fails, those before it stand, the checkpoint is
   * not written, and the error is the work's failure.
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: RedisTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    return this.#transactions.transact(scope, write, work, options);
  }

  /** On a connection of its own, which is made again for as long as it takes. */
  watch(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void> {
    return this.#connection.subscribe(this.#calls.memoryOf(scope).keys.group, onHint, signal);
  }

  /** Dead letters under the store's key prefix, in keys of their own. */
  deadLetters(): DeadLetterTable {
    const letters = new RedisLetters(this.#connection, this.#keyPrefix);
    return new StatementsDeadLetterTable(letters);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
