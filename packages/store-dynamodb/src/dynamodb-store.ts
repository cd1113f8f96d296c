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
  TransactionalDeadLetters,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
  WorkerIdentity,
  WorkerMembership,
} from "@kc/core";
import { relayed, singleResult } from "@kc/core/adapter";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Claims } from "./claims.ts";
import { Client } from "./client.ts";
import { DynamoDBDeadLetters, DynamoDBLetters } from "./dead-letters.ts";
import { Leases } from "./leases.ts";
import { Namespaces } from "./namespaces.ts";
import { checkOptions, type DynamoDBStoreOptions } from "./options.ts";
import { applicationOf } from "./rows.ts";
import { checkpointsShape, setUpTable } from "./schema.ts";
import { putApplication } from "./statements.ts";
import type { DynamoTransaction } from "./transaction.ts";
import { Transactions } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Progress and leases in a DynamoDB table, the one of the Go library or one that `setup()` makes.
 */
export class DynamoDBStore implements LeaseStore, TransactionalStore<DynamoTransaction> {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 10_000,
    flush: "spread",
    maxAheadBytes: 512,
  };
  readonly #client: Client;
  readonly #namespaces: Namespaces;
  readonly #checkpoints: Checkpoints;
  readonly #workers: Workers;
  readonly #leases: Leases;
  readonly #transactions: Transactions;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: DynamoDBStoreOptions) {
    const checked = checkOptions(options);
    this.#client = new Client(checked);
    this.#namespaces = new Namespaces(checked);
    const claims = new Claims(this.#client, this.#namespaces);
    const calls = new Calls(this.#client, this.#namespaces);
    this.#checkpoints = new Checkpoints(calls, this.#namespaces, claims);
    this.#workers = new Workers(calls);
    this.#leases = new Leases(calls, this.#workers);
    this.#transactions = new Transactions(this.#client, this.#namespaces, claims);
  }

  /** Makes the table, on demand (PAY_PER_REQUEST), and waits until it is there. */
  setup(options?: CallOptions): Promise<void> {
    return setUpTable(this.#client, checkpointsShape(this.#client.table), options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const partition = this.#namespaces.partition(scope);
    const refusals = await this.#client.write(putApplication(partition, row), options);
    const item = refusals?.[0]?.item;
    const stands = item === undefined ? row : applicationOf(item);
    this.#namespaces.learn(scope, stands);
    return { outcome: item === undefined ? "created" : "existing", row: stands };
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
    return singleResult(write, await this.#checkpoints.set(scope, write, options));
  }

  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    return this.#checkpoints.setAll(scope, writes, options);
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
    return relayed(options, (own) => this.#leases.put(scope, shards, own));
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
    return relayed(options, (own) => this.#leases.acquire(scope, worker, shardIds, own));
  }

  releaseLeases(
    scope: StoreScope,
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return relayed(options, (own) => this.#leases.release(scope, leases, own));
  }

  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    return relayed(options, (own) => this.#leases.remove(scope, shardIds, own));
  }

  /**
   * What `work` writes by its transaction and the checkpoint are one TransactWriteItems, sent when `work`
   * has ended. A failed condition of an item of `work`, or an item that DynamoDB refuses, is the work's
   * failure, thrown as the SDK threw it.
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: DynamoTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    return this.#transactions.transact(scope, write, work, options);
  }

  /**
   * Dead letters in a table of their own, `{table}-dead-letters`, which its own `setup()` makes.
   * @throws ConfigError if that is longer than a table's name can be
   */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<DynamoTransaction> {
    return new DynamoDBDeadLetters(new DynamoDBLetters(this.#client), this);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
