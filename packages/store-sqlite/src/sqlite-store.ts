import type {
  ApplicationRow,
  CallOptions,
  DeadLetterTable,
  LeaseStore,
  StoreScope,
  TransactionalDeadLetters,
  TransactionalStore,
  TransactionalWrite,
  TransactionResult,
} from "@kc/core";
import { LeaseStoreOfParts, TransactionalLetterTable } from "@kc/core/adapter";
import type Libsql from "libsql";
import { Calls } from "./calls.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { SqliteLetters } from "./dead-letters.ts";
import type { SqliteDatabase } from "./driver.ts";
import { isTransient } from "./errors.ts";
import { Leases } from "./leases.ts";
import { checkOptions, type SqliteStoreOptions } from "./options.ts";
import { applicationOf, applicationValues, keyOf } from "./rows.ts";
import { migrate, SCHEMA_STEPS } from "./schema.ts";
import { PUT_APPLICATION, READ_APPLICATION } from "./statements.ts";
import { transactIn, WorkFailed } from "./transactions.ts";
import { Workers } from "./workers.ts";

/**
 * Checkpoints and leases in a SQLite file, for one process or several on one machine. The first call opens the file,
 * not the constructor.
 *
 * An empty file gets its tables at the first use. Any other database (a file with tables of its own, or an open
 * database that was passed in) gets them only from `setup()`.
 */
export class SqliteStore<Database extends SqliteDatabase = Libsql.Database>
  extends LeaseStoreOfParts
  implements TransactionalStore<Database>
{
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #connection: Connection;
  readonly #calls: Calls;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: SqliteStoreOptions<Database>) {
    const connection = new Connection(checkOptions(options));
    const calls = new Calls(connection);
    super({
      checkpoints: new Checkpoints(calls),
      workers: new Workers(calls),
      leases: new Leases(calls),
    });
    this.#connection = connection;
    this.#calls = calls;
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, SCHEMA_STEPS), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const key = keyOf(scope);
    return this.#calls.change(scope, options, (session) => {
      const put = session.query(PUT_APPLICATION, [...key, ...applicationValues(row)]);
      const [existing] = session.query(READ_APPLICATION, key);
      return {
        outcome: put.length === 1 ? "created" : "existing",
        row: applicationOf(scope, existing!),
      };
    });
  }

  /** Dead letters in the table `kc_dead_letters` of the same file, which the queue's own `setup()` creates. */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<Database> {
    return new TransactionalLetterTable<Database>(new SqliteLetters(this.#connection), this);
  }

  /** `work` is synchronous: nothing else runs on the connection, or in the process, meanwhile. */
  async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: Database) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the connection's database is that of the options
    const ofDatabase = work as (tx: SqliteDatabase) => Value;
    const result = await this.#calls.run(scope, options, (session) => {
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

  isTransient(error: unknown): boolean {
    return isTransient(error);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }
}
