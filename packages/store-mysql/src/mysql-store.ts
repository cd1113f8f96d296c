import {
  type AcquiredLease,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointInResult,
  type CheckpointWrite,
  type DeadLetterTable,
  type Fence,
  type LeaseStore,
  type SetCheckpointResult,
  type ShardPut,
  type StoreScope,
  type TransactionalDeadLetters,
  type TransactionalStore,
  type TransactionalWrite,
  type TransactionResult,
  type WorkerIdentity,
  type WorkerMembership,
} from "@kc/core";
import { singleResult } from "@kc/core/adapter";
import type { PoolConnection } from "mysql2/promise";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { MysqlDeadLetters, MysqlLetters } from "./dead-letters.ts";
import { isDuplicate, isPassing } from "./errors.ts";
import type { MysqlExecutor } from "./executors.ts";
import { Leases } from "./leases.ts";
import { checkOptions, type MysqlStoreOptions } from "./options.ts";
import { applicationOf, applicationValues } from "./rows.ts";
import { migrate } from "./schema.ts";
import { tablesOf, type Tables } from "./sql.ts";
import * as sql from "./statements.ts";
import { Transactions } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Progress and leases in MySQL or MariaDB, in a table of the Go library's or one of its own.
 *
 * Each change is one statement that commits by itself: no transaction is open between two messages,
 * so a process that freezes or is lost holds no lock. Only transactions that a handler fills stay open.
 */
export class MysqlStore implements LeaseStore, TransactionalStore<PoolConnection, MysqlExecutor> {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #connection: Connection;
  readonly #tables: Tables;
  readonly #calls: Calls;
  readonly #checkpoints: Checkpoints;
  readonly #workers: Workers;
  readonly #leases: Leases;
  readonly #transactions: Transactions;

  /** Opens no connection: the first call does. @throws ConfigError if an option is wrong. */
  constructor(options: MysqlStoreOptions) {
    const checked = checkOptions(options);
    this.#connection = new Connection(checked);
    this.#tables = tablesOf(checked.table, checked.database);
    this.#calls = new Calls(this.#connection, this.#tables, checked.namespace);
    this.#checkpoints = new Checkpoints(this.#calls);
    this.#workers = new Workers(this.#calls);
    this.#leases = new Leases(this.#calls);
    this.#transactions = new Transactions(this.#connection, this.#calls);
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, this.#tables), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    return this.#calls.run(scope, [], options, async ({ session, place, look }) => {
      for (;;) {
        const read = sql.readApplication(place.tables, place.namespace);
        const [found] = await session.read(read);
        if (found) return { outcome: "existing", row: applicationOf(found) };
        try {
          const put = sql.putApplication(place.tables, place.namespace, applicationValues(row));
          if ((await session.write(put)) > 0) return { outcome: "created", row };
          await look({}); // a server that takes no writes puts no row: this call reports it
        } catch (error) {
          if (!isDuplicate(error)) throw error;
        }
      }
    });
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
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<PoolConnection> {
    const letters = new MysqlLetters(this.#connection, this.#tables.deadLetters);
    return new MysqlDeadLetters(letters, this);
  }

  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: PoolConnection) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    return this.#transactions.transact(scope, write, work, options);
  }

  checkpointIn(
    executor: MysqlExecutor,
    scope: StoreScope,
    write: TransactionalWrite,
    options?: CallOptions,
  ): Promise<CheckpointInResult> {
    return this.#transactions.checkpointIn(executor, scope, write, options);
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
