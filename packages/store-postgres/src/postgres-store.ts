import type {
  AcquiredLease,
  ApplicationRow,
  BulkCheckpointResult,
  CallOptions,
  Checkpoint,
  CheckpointInResult,
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
import { singleResult } from "@kc/core/adapter";
import type { PostgresTransaction } from "./client.ts";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { PostgresDeadLetters, PostgresLetters } from "./dead-letters.ts";
import type { PostgresExecutor } from "./executors.ts";
import { howToSetUp, isPassing } from "./errors.ts";
import { Leases } from "./leases.ts";
import { Listener } from "./listener.ts";
import { checkOptions, type PostgresStoreOptions } from "./options.ts";
import { applicationOf } from "./rows.ts";
import { ddl } from "./schema.ts";
import { setUp } from "./setup.ts";
import { openApplication } from "./statements.ts";
import { tablesOf } from "./tables.ts";
import { Transactions } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Progress and leases in Postgres, in the Go library's own table and some beside it. Every call is one round
 * trip and one transaction. The first call connects, not the constructor; the tables are created by `setup()`
 * or by hand, never by another call.
 */
export class PostgresStore
  implements LeaseStore, TransactionalStore<PostgresTransaction, PostgresExecutor>
{
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 1400,
  };
  /** There is one if the store was given a `listenConnection`. */
  readonly watch?: NonNullable<LeaseStore["watch"]>;
  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #checkpoints: Checkpoints;
  readonly #workers: Workers;
  readonly #leases: Leases;
  readonly #transactions: Transactions;
  readonly #setupTimeoutMs: number;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: PostgresStoreOptions) {
    const checked = checkOptions(options);
    const tables = tablesOf(checked);
    this.#setupTimeoutMs = checked.timeoutMs;
    this.#connection = new Connection(checked, {
      where: `Postgres table ${tables.checkpoints}`,
      remedy: howToSetUp(ddl(tables)),
    });
    this.#calls = new Calls(this.#connection, tables, checked.namespace);
    this.#checkpoints = new Checkpoints(this.#calls);
    this.#workers = new Workers(this.#calls);
    this.#leases = new Leases(this.#calls);
    this.#transactions = new Transactions(this.#calls, checked.transactionIdleMs);
    if (checked.listen === undefined) return;
    const listener = new Listener(checked.listen, this.#connection);
    this.watch = (scope, onHint, signal) =>
      listener.watch(this.#calls.channelOf(scope), onHint, signal);
  }

  /**
   * Looks first, and changes nothing where nothing is missing: that takes no right to create.
   * @throws StoreError STORE_ACCESS_DENIED with the statements to run; STORE_SCHEMA if a table is
   * somebody else's
   */
  async setup(options?: CallOptions): Promise<void> {
    await setUp(this.#connection, this.#calls.tables, this.#setupTimeoutMs, options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const [put, [stands] = []] = await this.#calls.run(scope, options, (place) =>
      openApplication(place, row),
    );
    return {
      outcome: put!.length === 1 ? "created" : "existing",
      row: applicationOf(stands!),
    };
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

  /** Dead letters in a table beside the others, `{table}_dead_letters`, which its own `setup()` makes. */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<PostgresTransaction> {
    const { deadLetters } = this.#calls.tables;
    const letters = new PostgresLetters(this.#connection, deadLetters, this.#setupTimeoutMs);
    return new PostgresDeadLetters(letters, this);
  }

  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: PostgresTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    return this.#transactions.transact(scope, write, work, options);
  }

  checkpointIn(
    executor: PostgresExecutor,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    return this.#transactions.checkpointIn(executor, scope, write);
  }

  isPassing(error: unknown): boolean {
    return isPassing(error);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
