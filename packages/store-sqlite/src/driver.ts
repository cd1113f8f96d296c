/**
 * The part of a `libsql` or `better-sqlite3` database that the store uses. Both fit as they are. Values are bound as
 * one array of strings, whole numbers, Buffers and nulls: `libsql` aborts the process if it gets a boolean.
 */
export interface SqliteDatabase {
  /** False once the database is closed. After that, most uses make `libsql` abort the process. */
  readonly open: boolean;
  readonly inTransaction: boolean;
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
}

/** `all` is enough, because every statement of the store returns rows; better-sqlite3 refuses it for others. */
export interface SqliteStatement {
  all(values: readonly SqliteValue[]): unknown[];
}

export type SqliteValue = string | number | Buffer | null;

/** One row of an answer. Whole numbers are bigints if the database is configured so. */
export type SqliteRow = Readonly<Record<string, string | number | bigint | null>>;

/**
 * An open database with its prepared statements. It is synchronous: nothing else of this process runs between two
 * calls, so locks are needed only against other processes.
 */
export class Session {
  readonly database: SqliteDatabase;
  readonly #statements: Map<string, SqliteStatement> = new Map();

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  /** Runs one statement to its end. A statement that is not finished would hold its lock. */
  query(sql: string, values: readonly SqliteValue[] = []): readonly SqliteRow[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both drivers answer with rows
    return statement.all(values) as SqliteRow[];
  }

  /**
   * Runs `work` under the write lock, which is acquired at BEGIN: upgrading a read lock later can fail half-way. It does
   * not use `libsql`'s own `transaction`, which hides an error that has already rolled back.
   */
  write<Answer>(work: () => Answer): Answer {
    this.database.exec("BEGIN IMMEDIATE");
    try {
      const answer = work();
      this.database.exec("COMMIT");
      return answer;
    } catch (error) {
      if (this.database.inTransaction) this.database.exec("ROLLBACK");
      throw error;
    }
  }
}
