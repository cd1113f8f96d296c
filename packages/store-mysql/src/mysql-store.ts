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
import type { PoolConnection } from "mysql2/promise";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { MysqlLetters } from "./dead-letters.ts";
import { isDuplicate, isTransient } from "./errors.ts";
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
 * Checkpoints and leases in MySQL or MariaDB, in the Go library's table or in tables of its own.
 *
 * Each change is one statement that commits by itself. No transaction is open between two round trips, so a process
 * that freezes or dies holds no lock. Only the transactions of handlers stay open.
 */
export class MysqlStore
  extends LeaseStoreOfParts
  implements TransactionalStore<PoolConnection, MysqlExecutor>
{
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
  readonly #transactions: Transactions;

  /** Opens no connection: the first call does. @throws ConfigError if an option is wrong. */
  constructor(options: MysqlStoreOptions) {
    const checked = checkOptions(options);
    const connection = new Connection(checked);
    const tables = tablesOf(checked.table, checked.database);
    const calls = new Calls(connection, tables, checked.namespace);
    super({
      checkpoints: new Checkpoints(calls),
      workers: new Workers(calls),
      leases: new Leases(calls),
    });
    this.#connection = connection;
    this.#tables = tables;
    this.#calls = calls;
    this.#transactions = new Transactions(connection, calls);
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, this.#tables), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    return this.#calls.run(scope, [], options, async ({ session, place, snapshot }) => {
      for (;;) {
        const read = sql.readApplication(place.tables, place.namespace);
        const [found] = await session.read(read);
        if (found) return { outcome: "existing", row: applicationOf(found) };
        try {
          const put = sql.putApplication(place.tables, place.namespace, applicationValues(row));
          if ((await session.write(put)) > 0) return { outcome: "created", row };
          await snapshot({}); // a read-only server inserts no row: this call reports it
        } catch (error) {
          if (!isDuplicate(error)) throw error;
        }
      }
    });
  }

  /** Dead letters in the table `{table}_dead_letters`, which the queue's own `setup()` creates. */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<PoolConnection> {
    const letters = new MysqlLetters(this.#connection, this.#tables.deadLetters);
    return new TransactionalLetterTable(letters, this);
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

  isTransient(error: unknown): boolean {
    return isTransient(error);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
