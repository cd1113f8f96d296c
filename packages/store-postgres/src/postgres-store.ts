import type {
  ApplicationRow,
  CallOptions,
  CheckpointInResult,
  DeadLetterTable,
  LeaseStore,
  StoreScope,
  TransactionalDeadLetters,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
} from "@kc/core";
import { LeaseStoreOfParts, TransactionalLetterTable } from "@kc/core/adapter";
import type { PostgresTransaction } from "./driver.ts";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { PostgresLetters } from "./dead-letters.ts";
import type { PostgresExecutor } from "./executors.ts";
import { howToSetUp, isTransient } from "./errors.ts";
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
 * Checkpoints and leases in Postgres: in the Go library's own table and some companion tables. Every call is one
 * round trip and one transaction. The first call connects, not the constructor. Only `setup()`, or the user by
 * hand, creates the tables.
 */
export class PostgresStore
  extends LeaseStoreOfParts
  implements TransactionalStore<PostgresTransaction, PostgresExecutor>
{
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 1400,
  };
  /** Only defined if the store was given a `listenConnection`. */
  readonly watch?: NonNullable<LeaseStore["watch"]>;
  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #transactions: Transactions;
  readonly #setupTimeoutMs: number;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: PostgresStoreOptions) {
    const checked = checkOptions(options);
    const tables = tablesOf(checked);
    const connection = new Connection(checked, {
      where: `Postgres table ${tables.checkpoints}`,
      remedy: howToSetUp(ddl(tables)),
    });
    const calls = new Calls(connection, tables, checked.namespace);
    super({
      checkpoints: new Checkpoints(calls),
      workers: new Workers(calls),
      leases: new Leases(calls),
    });
    this.#connection = connection;
    this.#calls = calls;
    this.#transactions = new Transactions(calls, checked.transactionIdleMs);
    this.#setupTimeoutMs = checked.timeoutMs;
    if (checked.listen === undefined) return;
    const listener = new Listener(checked.listen, connection);
    this.watch = (scope, onHint, signal) => listener.watch(calls.channelOf(scope), onHint, signal);
  }

  /**
   * Creates the tables and columns that are missing. If none is, it only reads the catalogue and needs no right to
   * create.
   * @throws StoreError STORE_ACCESS_DENIED with the statements to run; STORE_SCHEMA if a table of that name
   * belongs to another program
   */
  async setup(options?: CallOptions): Promise<void> {
    await setUp(this.#connection, this.#calls.tables, this.#setupTimeoutMs, options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const [put, [existing] = []] = await this.#calls.run(scope, options, (place) =>
      openApplication(place, row),
    );
    return {
      outcome: put!.length === 1 ? "created" : "existing",
      row: applicationOf(existing!),
    };
  }

  /** Dead letters in the table `{table}_dead_letters`, which the queue's own `setup()` creates. */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<PostgresTransaction> {
    const { deadLetters } = this.#calls.tables;
    const letters = new PostgresLetters(this.#connection, deadLetters, this.#setupTimeoutMs);
    return new TransactionalLetterTable(letters, this);
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

  isTransient(error: unknown): boolean {
    return isTransient(error);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
