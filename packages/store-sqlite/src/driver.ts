/**
 * The part of a `libsql` or `better-sqlite3` database that is used here. Both fit as they are.
 * Values are bound as one array of strings, whole numbers, Buffers and nulls: `libsql` aborts the process
 * when it is given a boolean.
 */
export interface SqliteDatabase {
  /** False once it is closed: `libsql` aborts the process at most uses after that. */
  readonly open: boolean;
  readonly inTransaction: boolean;
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
}

/** Every statement here returns rows, so `all` is enough: better-sqlite3 refuses it otherwise. */
export interface SqliteStatement {
  all(values: readonly SqliteValue[]): unknown[];
}

export type SqliteValue = string | number | Buffer | null;

/** One answer's row; whole numbers are bigints where the database is set so. */
export type SqliteRow = Readonly<Record<string, string | number | bigint | null>>;
/**
 * An open database with its prepared statements. Synchronous: nothing else of this process runs
 * between two calls, so only other processes are kept out by locks.
 */
export class Session {
  readonly database: SqliteDatabase;
  readonly #statements: Map<string, SqliteStatement> = new Map();

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  /** Runs one statement to its end: a statement that was left half-way would hold its lock. */
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
   * Runs `work` under the write lock, taken at once: a lock that is upgraded later can fail half-way.
   * Written out since `libsql`'s own `transaction` hides an error that already rolled back.
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
