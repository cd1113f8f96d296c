import type {
  AcquiredLease,
  Fence,
  LeaseStore,
  ShardPut,
  ApplicationRow,
  BulkCheckpointResult,
  CallOptions,
  Checkpoint,
  CheckpointWrite,
  DeadLetterTable,
  SetCheckpointResult,
  StoreScope,
  TransactionalDeadLetters,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
  WorkerIdentity,
  WorkerMembership,
} from "@kc/core";
import { checkScope, singleResult } from "@kc/core/adapter";
import type Libsql from "libsql";
import { advanceCheckpoints, readCheckpoints, readShards, resetCheckpoint } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { SqliteDeadLetters, SqliteLetters } from "./dead-letters.ts";
import type { Session, SqliteDatabase } from "./database.ts";
import { isPassing } from "./errors.ts";
import { SqliteLeases } from "./leases.ts";
import { checkOptions, type SqliteStoreOptions } from "./options.ts";
import { applicationOf, applicationValues, checkpointOf } from "./rows.ts";
import { checkSchema, isEmptyDatabase, migrate, SCHEMA_STEPS } from "./schema.ts";
import { PUT_APPLICATION, READ_APPLICATION } from "./statements.ts";
import { transactIn, WorkFailed } from "./transactions.ts";

/**
 * Progress and leases in a SQLite file, for one process or several on one machine. The file is opened by the
 * first call, not by the constructor.
 *
 * A file that holds nothing gets its tables at the first use. Any other database (a file with
 * tables of its own, or one that was handed in) gets them from `setup()` alone.
 */
export class SqliteStore<Database extends SqliteDatabase = Libsql.Database>
  implements LeaseStore, TransactionalStore<Database>
{
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #connection: Connection;
  #schemaChecked = false;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: SqliteStoreOptions<Database>) {
    this.#connection = new Connection(checkOptions(options));
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, SCHEMA_STEPS), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const key = [scope.application, scope.streamName];
    return this.#run(scope, options, (session) =>
      session.write(() => {
        const put = session.query(PUT_APPLICATION, [...key, ...applicationValues(row)]);
        const [stands] = session.query(READ_APPLICATION, key);
        return {
          outcome: put.length === 1 ? "created" : "existing",
          row: applicationOf(scope, stands!),
        };
      }),
    );
  }

  getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    return this.#run(scope, options, (session) =>
      checkpointOf(readShards(session, scope, [shardId]).get(shardId)),
    );
  }

  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#run(scope, options, (session) => readCheckpoints(session, scope));
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    const [result] = await this.setCheckpoints(scope, [write], options);
    return singleResult(write, result);
  }

  /** All in one transaction: one wait for the disk, and no lock taken twice. */
  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    return this.#run(scope, options, (session) =>
      session.write(() => advanceCheckpoints(session, scope, writes)),
    );
  }

  resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    const force = options?.force === true;
    return this.#run(scope, options, (session) =>
      session.write(() => resetCheckpoint(session, scope, shardId, to, force)),
    );
  }

  joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): ReturnType<LeaseStore["joinWorker"]> {
    return this.#change(scope, options, (leases) => leases.join(worker));
  }

  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): ReturnType<LeaseStore["heartbeat"]> {
    return this.#change(scope, options, (leases) => leases.beat(worker));
  }

  listWorkers(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listWorkers"]> {
    return this.#run(scope, options, (session) => new SqliteLeases(session, scope).listWorkers());
  }

  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): ReturnType<LeaseStore["evictWorker"]> {
    return this.#change(scope, options, (leases) => leases.evict(worker));
  }

  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void> {
    return this.#change(scope, options, (leases) => leases.leave(worker));
  }

  putShards(scope: StoreScope, shards: readonly ShardPut[], options?: CallOptions): Promise<void> {
    return this.#change(scope, options, (leases) => leases.put(shards));
  }

  listLeases(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listLeases"]> {
    return this.#run(scope, options, (session) => new SqliteLeases(session, scope).listLeases());
  }

  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]> {
    return this.#change(scope, options, (leases) => leases.acquire(worker, shardIds));
  }

  releaseLeases(
    scope: StoreScope,
    held: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return this.#change(scope, options, (leases) => leases.release(held));
  }

  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    return this.#change(scope, options, (leases) => leases.remove(shardIds));
  }

  /** Dead letters in a table of the same file, `kc_dead_letters`, which its own `setup()` makes. */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<Database> {
    return new SqliteDeadLetters(new SqliteLetters(this.#connection), this);
  }

  /** `work` is synchronous: nothing else happens on the connection meanwhile, nor in the process. */
  async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: Database) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the connection's is what the options say
    const ofDatabase = work as (tx: SqliteDatabase) => Value;
    const result = await this.#run(scope, options, (session) => {
      try {
        return transactIn(session, scope, write, ofDatabase, options?.signal);
      } catch (error) {
        if (error instanceof WorkFailed) return error;
        throw error;
      }
    });
    if (result instanceof WorkFailed) throw result.cause;
    return result;
  }

  isPassing(error: unknown): boolean {
    return isPassing(error);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One write transaction on workers and leases. */
  #change<Answer>(
    scope: StoreScope,
    options: CallOptions | undefined,
    work: (leases: SqliteLeases) => Answer,
  ): Promise<Answer> {
    return this.#run(scope, options, (session) =>
      session.write(() => work(new SqliteLeases(session, scope))),
    );
  }

  /** As the connection's `run`, once the schema is known to be right. */
  async #run<Answer>(
    scope: StoreScope,
    options: CallOptions | undefined,
    work: (session: Session) => Answer,
  ): Promise<Answer> {
    checkScope(scope);
    return this.#connection.run((session) => {
      if (!this.#schemaChecked) {
        if (this.#connection.owned && isEmptyDatabase(session)) migrate(session, SCHEMA_STEPS);
        checkSchema(session, SCHEMA_STEPS, this.#connection.where);
        this.#schemaChecked = true;
      }
      return work(session);
    }, options);
  }
}
