import { Socket } from "node:net";
import type { CallLimit } from "@kc/core/adapter";
import { isInTransaction } from "./errors.ts";

/** The part of a pool of `mysql2/promise` that the store uses. A pool from any copy of the package fits. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
  /** The underlying pool of mysql2, with callbacks. */
  readonly pool?: object;
}

/** A pool of `mysql2` itself, with callbacks. */
export interface MysqlCallbackPool {
  promise(): MysqlPool;
}

export interface MysqlConnection {
  query(options: MysqlQuery): Promise<readonly [unknown, ...unknown[]]>;
  /** Returns the connection to the pool. */
  release(): void;
  /** Closes the connection and removes it from the pool. */
  destroy(): void;
  /** The underlying connection of mysql2, with callbacks. */
  readonly connection?: object;
}

/** A statement, with the options that the pool's owner may have set differently. */
export interface MysqlQuery {
  readonly sql: string;
  readonly rowsAsArray: false;
  readonly nestTables: false;
  readonly typeCast: (field: { string(): string | null }) => string | null;
}

/** One row of an answer. Every value is the text that the server sent. */
export type MysqlRow = Readonly<Record<string, string | null>>;

/**
 * The pool's owner left the connection in a transaction or without autocommit: writes would not be committed, and
 * reads may be stale. The connection must be destroyed, so that the server rolls back what was done on it.
 */
export class UnfitConnection extends Error {
  override readonly name = "UnfitConnection";
}

/** Applies to the next transaction only. At READ UNCOMMITTED, a row could be read that is rolled back later. */
const ISOLATION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";

/**
 * Settings for one statement, in a comment that only MariaDB executes. The statement waits at most a second for a
 * lock, so that it does not outlast an abandoned call for long. It assigns from left to right in every sql_mode, and
 * a join by keys does not count as an unsafe update.
 */
export const IN_MARIADB =
  "/*M! SET STATEMENT innodb_lock_wait_timeout = 1, sql_mode = 'STRICT_ALL_TABLES', " +
  "sql_safe_updates = 0 FOR */ ";

const IN_TRANSACTION = 1;
const AUTOCOMMIT = 2;

/** Uses mysql2's `query` instead of `execute`, because prepared statements are session state. */
export async function ask(
  connection: Pick<MysqlConnection, "query">,
  sql: string,
): Promise<Answer> {
  const [rows] = await connection.query({
    sql,
    rowsAsArray: false,
    nestTables: false,
    typeCast: (field) => field.string(),
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- mysql2's answers to one statement
  return rows as Answer;
}

/** A connection during one call. After the call's end nothing more is sent. */
export class Session {
  readonly #connection: MysqlConnection;
  readonly #limit: CallLimit;
  /** The number of open operations: statements without an answer, or settings whose statement has not run yet. */
  #open = 0;
  /** True once the server has reported that no transaction is open and autocommit is on. */
  #fit: boolean;

  /** @param prepared whether `prepare()` has run on the connection, which no other call uses */
  constructor(connection: MysqlConnection, limit: CallLimit, prepared: boolean) {
    this.#connection = connection;
    this.#limit = limit;
    this.#fit = prepared;
  }

  /**
   * Configures a connection of the store's own pool, once, so that each read is one round trip. The lock timeouts are
   * needed because MySQL lets a statement wait for a metadata lock even after its client is gone, by default a year.
   */
  async prepare(): Promise<void> {
    await this.define(
      "SET SESSION autocommit = 1, innodb_lock_wait_timeout = 1, lock_wait_timeout = 1",
    );
    await this.define("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  }

  /** True if nothing is open on the connection that would affect its next user. */
  get idle(): boolean {
    return this.#open === 0;
  }

  /**
   * Reads what was committed when the statement began. On a pool that was passed in, the first read takes two round
   * trips, because the server does not report a connection's state with rows.
   * @throws UnfitConnection
   */
  async read(sql: string): Promise<readonly MysqlRow[]> {
    if (this.#fit) {
      const rows = rowsOf(await this.#query(sql));
      if (rows[0]?.["uncommitted"] !== "1") return rows;
    }
    this.#open += 1;
    this.#check(await this.#query(ISOLATION));
    const rows = rowsOf(await this.#query(sql));
    this.#open -= 1;
    return rows;
  }

  /** Returns the number of rows that were changed, or found. Committed once it resolves. @throws UnfitConnection */
  write(sql: string): Promise<number> {
    return this.define(IN_MARIADB + sql);
  }

  /** As `write`, for an `INSERT … SELECT … ON DUPLICATE KEY UPDATE`. @throws UnfitConnection */
  async upsert(sql: string): Promise<Upserted> {
    return upsertedIn(await this.#change(IN_MARIADB + sql));
  }

  /** Runs a SET or DDL statement unchanged. @throws UnfitConnection */
  async define(sql: string): Promise<number> {
    return (await this.#change(sql)).affectedRows ?? 0;
  }

  async #change(sql: string): Promise<Answer> {
    const answer = await this.#query(sql);
    this.#check(answer);
    this.#fit = true;
    return answer;
  }

  async #query(sql: string): Promise<Answer> {
    this.#open += 1;
    const answer = ask(this.#connection, sql).finally(() => (this.#open -= 1));
    try {
      return await this.#limit.wait(answer);
    } catch (error) {
      if (isInTransaction(error))
        throw new UnfitConnection("a transaction is open", { cause: error });
      throw error;
    }
  }

  #check({ serverStatus = AUTOCOMMIT }: Answer): void {
    if ((serverStatus & AUTOCOMMIT) === 0) throw new UnfitConnection("autocommit is off");
    if ((serverStatus & IN_TRANSACTION) !== 0) throw new UnfitConnection("a transaction is open");
  }
}

/** The server's row counts of an upsert, which do not depend on the connection's flags. */
export interface Upserted {
  /** Rows from the SELECT; `undefined` if the answer does not contain the counts, behind a proxy for instance. */
  readonly rows: number | undefined;
  /** Existing rows that were changed. */
  readonly changed: number | undefined;
}

/** Parses `Records: 3  Duplicates: 2  Warnings: 0`, in any language of the server. */
export function upsertedIn({ info = "" }: Answer): Upserted {
  const [rows, changed] = info.match(/\d+/g)?.map(Number) ?? [];
  return { rows, changed };
}

/** The rows, whose values are all texts, or the server's report of a change. */
export type Answer = readonly MysqlRow[] & {
  readonly affectedRows?: number;
  readonly info?: string;
  readonly serverStatus?: number;
};

export function rowsOf(answer: Answer): readonly MysqlRow[] {
  return Array.isArray(answer) ? answer : [];
}

/** Destroys the socket too: mysql2's `destroy` waits for the server to close its side, which a dead one never does. */
export function discard(connection: MysqlConnection): void {
  connection.destroy();
  socketOf(connection.connection)?.destroy();
}

function socketOf(connection: object | undefined): Socket | undefined {
  const stream: unknown = connection && Reflect.get(connection, "stream");
  return stream instanceof Socket ? stream : undefined;
}
