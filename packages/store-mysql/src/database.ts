import { KcError, type CallLimit } from "@kc/core";
import { isLock } from "./errors.ts";

/** The part of a pool of `mysql2/promise` that is used here, whichever copy it comes from. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
}

/** A pool of `mysql2` itself, with callbacks. */
export interface MysqlCallbackPool {
  promise(): MysqlPool;
}

export interface MysqlConnection {
  query(options: MysqlQuery): Promise<readonly [unknown, ...unknown[]]>;
  /** Gives it back to the pool. */
  release(): void;
  /** Ends it and takes it out of the pool. */
  destroy(): void;
  /** mysql2's own connection behind the promises. */
  readonly connection?: object;
}

/** What a pool's owner may have set otherwise is set for each statement. */
export interface MysqlQuery {
  readonly sql: string;
  readonly rowsAsArray: false;
  readonly nestTables: false;
  readonly typeCast: (field: { string(): string | null }) => string | null;
}

/** One answer's row: every value as the text that the server sent. */
export type MysqlRow = Readonly<Record<string, string | null>>;

export interface TransactionOptions {
  /**
   * For who reads rows that it does not lock. At the level of the pool's owner it might see a change
   * that is rolled back, or wait for one. Costs a round trip, and holds for this transaction alone.
   */
  readonly isolated?: boolean;
}

/** A connection for the length of one call. Once that is over nothing is sent. */
export class Session {
  readonly #connection: MysqlConnection;
  readonly #limit: CallLimit;
  #inTransaction = false;
  #unanswered = 0;

  constructor(connection: MysqlConnection, limit: CallLimit) {
    this.#connection = connection;
    this.#limit = limit;
  }

  /** Is nothing open on the connection: no transaction, no statement without its answer? */
  get idle(): boolean {
    return !this.#inTransaction && this.#unanswered === 0;
  }

  /** By mysql2's `query`, not `execute`: prepared statements are a session's state. */
  async query(sql: string): Promise<readonly MysqlRow[]> {
    this.#unanswered += 1;
    const answer = this.#connection
      .query({
        sql,
        rowsAsArray: false,
        nestTables: false,
        typeCast: (field) => field.string(),
      })
      .finally(() => (this.#unanswered -= 1));
    const [rows] = await this.#limit.wait(answer);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- by typeCast all are texts
    return Array.isArray(rows) ? (rows as MysqlRow[]) : [];
  }

  /** Rolled back if `work` throws because of a lock, or throws an error of our own. */
  async transaction<Answer>(
    work: () => Promise<Answer>,
    { isolated = false }: TransactionOptions = {},
  ): Promise<Answer> {
    this.#inTransaction = true;
    try {
      if (isolated) await this.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
      await this.query("START TRANSACTION");
      const answer = await work();
      await this.query("COMMIT");
      this.#inTransaction = false;
      return answer;
    } catch (error) {
      if (KcError.is(error) || isLock(error)) {
        await this.query("ROLLBACK");
        this.#inTransaction = false;
      }
      throw error;
    }
  }
}
