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
import { isAnswered, isInTransaction, isMissingSavepoint, isPassing } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";

/** Runs one call of a session within the limits of every call, and makes StoreErrors of its errors. */
export type Limited = <Answer>(work: (limit: CallLimit) => Promise<Answer>) => Promise<Answer>;

/** It is gone with the transaction, whatever ended that: COMMIT, ROLLBACK, DDL, a deadlock. */
const SAVEPOINT = "kc_transaction";

/**
 * READ COMMITTED locks no gaps, and the last statement locks the rows that it compares. The first statement
 * fails where a transaction is open. The second fails on a server that is read-only.
 */
const BEGIN = [
  "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
  "START TRANSACTION READ WRITE",
  `SAVEPOINT ${SAVEPOINT}`,
];
/** Servers can report it by themselves, but may be told not to, and a proxy may keep it. */
const DEFAULT_DATABASE = "SELECT DATABASE() AS name";
const nameIn = (answer: Answer): unknown => rowsOf(answer)[0]?.["name"];
/** Whatever `completion_type` the pool's owner has set. */
const NO_CHAIN = "AND NO CHAIN NO RELEASE";

/** A connection that one transaction has for itself, from its beginning until it is given back. */
export class TransactionSession {
  readonly #connection: MysqlConnection;
  readonly #limited: Limited;
  /** What the connection has thrown at the handler. */
  readonly #errors = new WeakSet();
  /** The connection's default before the handler's first statement that may be a USE. */
  #databaseBefore: Promise<unknown> | undefined;
  #hasOtherDatabase = false;
  #isBroken = false;
  #isKnownIntact = false;
  /** It is committed, or rolled back. */
  #isEnded = false;
  /** A call of the store failed without an answer: what the server did is not known. */
  #isInDoubt = false;

  constructor(connection: MysqlConnection, limited: Limited) {
    this.#connection = connection;
    this.#limited = limited;
  }

  /**
   * Sets a connection of the store's own, once. A statement waits for a lock no longer than a call does, or
   * MySQL lets it wait on although its client is gone. The idle limit is in whole seconds; MySQL's is that
   * of a connection, in a transaction or not.
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

  /** @throws UnfitConnection if a transaction of somebody else's is open on the connection */
  static async begin(connection: MysqlConnection, limit: CallLimit): Promise<void> {
    try {
      for (const statement of BEGIN) await limit.wait(ask(connection, statement));
    } catch (error) {
      if (!isInTransaction(error)) throw error;
      throw new UnfitConnection("a transaction is open", { cause: error });
    }
  }

  /** Is the connection's default another database than before the handler? The store's tables are not in it. */
  get hasOtherDatabase(): boolean {
    return this.#hasOtherDatabase;
  }

  /** For the handler. Remembers what the server, and not something else, has thrown at it. */
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

  /** Is it this transaction that has to be run again, after what its handler has met? */
  mustRetry(error: unknown): boolean {
    return this.#isBroken || isPassing(error, (each) => this.#errors.has(each));
  }

  /** Is it still the transaction that was begun? Asked when the handler is done. */
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
      // Its session may hold what no ROLLBACK takes from it, such as the locks of LOCK TABLES.
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
   * Gives the connection back to the pool if it is known to be whole. What is not committed is rolled back,
   * by the server if it does not answer.
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
      return false; // It is closed, and the server rolls back.
    }
  }

  /** It is answered before the handler's own statement, and takes of the handler's time. */
  #askBefore(): Promise<unknown> {
    const name = ask(this.#connection, DEFAULT_DATABASE).then(nameIn);
    name.catch(() => undefined); // The connection is broken: whoever asks next learns of it.
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

/** The text of a statement that may make another database the connection's default. */
function mayChangeDatabase(statement: unknown): boolean {
  const text: unknown = typeof statement === "string" ? statement : Object(statement).sql;
  return typeof text === "string" && /\buse\b/i.test(text);
}
