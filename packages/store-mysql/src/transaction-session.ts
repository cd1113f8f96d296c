import { KcError } from "@kc/core";
import type { CallLimit } from "@kc/core/adapter";
import type { PoolConnection } from "mysql2/promise";
import {
  ask,
  discard,
  rowsOf,
  UnfitConnection,
  upsertedIn,
  type Answer,
  type MysqlConnection,
  type MysqlRow,
  type Upserted,
} from "./driver.ts";
import { isAnswered, isInTransaction, isMissingSavepoint, isTransient } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";

/** Runs one call of a session with a call's timeout and signals, and turns its errors into StoreErrors. */
export type Limited = <Answer>(work: (limit: CallLimit) => Promise<Answer>) => Promise<Answer>;

/** It disappears when the transaction ends for any reason: COMMIT, ROLLBACK, DDL, a deadlock. */
const SAVEPOINT = "kc_transaction";

/**
 * READ COMMITTED locks no gaps, and the last statement locks the rows that it compares. The first statement fails if a
 * transaction is open, the second if the server is read-only.
 */
const BEGIN = [
  "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "START TRANSACTION READ WRITE",
  `SAVEPOINT ${SAVEPOINT}`,
];
/** Servers can report a changed default database themselves, but that may be disabled, or a proxy may hide it. */
const DEFAULT_DATABASE = "SELECT DATABASE() AS name";
const nameIn = (answer: Answer): unknown => rowsOf(answer)[0]?.["name"];
/** Overrides the `completion_type` that the pool's owner may have set. */
const NO_CHAIN = "AND NO CHAIN NO RELEASE";

/** A connection that is reserved for one transaction, from its begin until it is released. */
export class TransactionSession {
  readonly #connection: MysqlConnection;
  readonly #limited: Limited;
  /** The errors that the connection has thrown to the handler. */
  readonly #errors = new WeakSet();
  /** The connection's default database before the handler's first statement that may be a USE. */
  #databaseBefore: Promise<unknown> | undefined;
  #hasOtherDatabase = false;
  #isBroken = false;
  #isKnownIntact = false;
  /** True once the transaction is committed or rolled back. */
  #isEnded = false;
  /** True if a call of the store failed without the server's answer, so that its effect is unknown. */
  #isInDoubt = false;

  constructor(connection: MysqlConnection, limited: Limited) {
    this.#connection = connection;
    this.#limited = limited;
  }

  /**
   * Configures a connection of the store's own pool, once. A statement waits for a lock no longer than the timeout of a
   * call; otherwise MySQL would let it wait even after its client is gone. The idle limit is in whole seconds. MySQL
   * applies it to a connection whether it is in a transaction or not.
   */
  static async prepare(
    connection: MysqlConnection,
    limit: CallLimit,
    { timeoutMs, transactionIdleMs }: CheckedOptions,
  ): Promise<void> {
    const [lock, idle] = [timeoutMs, transactionIdleMs].map((ms) => Math.ceil(ms / 1000));
    const set = `SET SESSION autocommit = 1, innodb_lock_wait_timeout = ${lock}, lock_wait_timeout = ${lock}
      /*!80000 , wait_timeout = ${idle} */ /*M! , idle_transaction_timeout = ${idle} */`;
    await limit.wait(ask(connection, set));
  }

  /** @throws UnfitConnection if the connection has a transaction that the pool's owner left open */
  static async begin(connection: MysqlConnection, limit: CallLimit): Promise<void> {
    try {
      for (const statement of BEGIN) await limit.wait(ask(connection, statement));
    } catch (error) {
      if (!isInTransaction(error)) throw error;
      throw new UnfitConnection("a transaction is open", { cause: error });
    }
  }

  /** True if the handler changed the connection's default database. The store's tables may not be in the new one. */
  get hasOtherDatabase(): boolean {
    return this.#hasOtherDatabase;
  }

  /** The handler's connection. Errors of its statements are remembered, to tell them from the handler's other errors. */
  get client(): PoolConnection {
    const noted = (error: unknown): never => {
      if (typeof error === "object" && error !== null) this.#errors.add(error);
      this.#isBroken ||= Object(error).fatal === true;
      throw error;
    };
    const before = (): void => void (this.#databaseBefore ??= this.#askBefore());
    const client = new Proxy(this.#connection, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (name !== "query" && name !== "execute") return value.bind(target);
        return (...given: unknown[]) => {
          if (mayChangeDatabase(given[0])) before();
          return value.apply(target, given).catch(noted);
        };
      },
    });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a pool of mysql2/promise gives out
    return client as unknown as PoolConnection;
  }

  /** Whether this transaction must be run again after its handler failed with `error`. */
  mustRetry(error: unknown): boolean {
    return this.#isBroken || isTransient(error, (each) => this.#errors.has(each));
  }

  /** Whether the transaction is still the one that was begun. Called when the handler has returned. */
  async isIntact(): Promise<boolean> {
    if (this.#isKnownIntact) return true;
    try {
      await this.#ask(`RELEASE SAVEPOINT ${SAVEPOINT}`);
      if (this.#databaseBefore !== undefined) {
        const after = nameIn(await this.#ask(DEFAULT_DATABASE));
        this.#hasOtherDatabase = (await this.#databaseBefore) !== after;
      }
      this.#isKnownIntact = true;
      return true;
    } catch (error) {
      if (!isMissingSavepoint(Object(error).cause)) throw error;
      // The session may hold state that ROLLBACK does not undo, such as the locks of LOCK TABLES.
      this.#isInDoubt = true;
      return false;
    }
  }

  /** @throws StoreError; an abort's reason */
  async change(sql: string): Promise<Upserted> {
    return upsertedIn(await this.#ask(sql));
  }

  /** @throws StoreError; an abort's reason */
  async read(sql: string): Promise<readonly MysqlRow[]> {
    return rowsOf(await this.#ask(sql));
  }

  /** @throws StoreError; an abort's reason */
  async commit(): Promise<void> {
    await this.#ask(`COMMIT ${NO_CHAIN}`);
    this.#isEnded = true;
  }

  /**
   * Returns the connection to the pool if it is known to be reusable. An uncommitted transaction is rolled back; if
   * the server does not answer, the connection is closed and the server rolls back.
   */
  async close(): Promise<void> {
    const isIntact = this.#isEnded || (await this.#isRolledBack());
    if (isIntact && !this.hasOtherDatabase) this.#connection.release();
    else discard(this.#connection);
  }

  async #isRolledBack(): Promise<boolean> {
    if (this.#isBroken || this.#isInDoubt) return false;
    try {
      if (!(await this.isIntact())) return false;
      await this.#ask(`ROLLBACK ${NO_CHAIN}`);
      return true;
    } catch {
      return false; // The connection is closed, and the server rolls back.
    }
  }

  /** Reads the default database. It is answered before the handler's statement, and adds to the handler's time. */
  #askBefore(): Promise<unknown> {
    const name = ask(this.#connection, DEFAULT_DATABASE).then(nameIn);
    name.catch(() => undefined); // The connection is broken: the next statement reports it.
    return name;
  }

  async #ask(sql: string): Promise<Answer> {
    try {
      return await this.#limited((limit) => limit.wait(ask(this.#connection, sql)));
    } catch (error) {
      this.#isInDoubt ||= !KcError.is(error) || !isAnswered(error.cause);
      throw error;
    }
  }
}

/** Whether a statement may change the connection's default database. */
function mayChangeDatabase(statement: unknown): boolean {
  const text: unknown = typeof statement === "string" ? statement : Object(statement).sql;
  return typeof text === "string" && /\buse\b/i.test(text);
}
