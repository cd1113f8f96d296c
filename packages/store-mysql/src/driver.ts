import { Socket } from "node:net";
import type { CallLimit } from "@kc/core/adapter";
import { isInTransaction } from "./errors.ts";

/** The part of a pool of `mysql2/promise` that is used here, whichever copy it comes from. */
export interface MysqlPool {
  getConnection(): Promise<MysqlConnection>;
  /** mysql2's own pool behind the promises. */
  readonly pool?: object;
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

/**
 * What a connection was left in by the pool's owner: what is written on it is not committed, and what
 * is read may be old. It must be given up: the server then rolls back what was done on it.
 */
export class UnfitConnection extends Error {
  override readonly name = "UnfitConnection";
}

/** For the one transaction that follows. At READ UNCOMMITTED a row might be read that is taken back. */
const ISOLATION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";

/**
 * MariaDB alone reads such a comment. A statement waits a second for a lock, so that
 * one whose caller gave up does not wait on for long; it assigns from left to right in every sql_mode;
 * and a join by keys is no unsafe update.
 */
export const IN_MARIADB =
  "/*M! SET STATEMENT innodb_lock_wait_timeout = 1, sql_mode = 'STRICT_ALL_TABLES', " +
  "sql_safe_updates = 0 FOR */ ";

const IN_TRANSACTION = 1;
const AUTOCOMMIT = 2;

/** By mysql2's `query`, not `execute`: prepared statements are a session's state. */
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

/** A connection for the length of one call. Once that is over nothing is sent. */
export class Session {
  readonly #connection: MysqlConnection;
  readonly #limit: CallLimit;
  /** Undecided: a statement without its answer, or a setting whose statement has not come. */
  #open = 0;
  /** Has the server said that nothing is open on it, and that each statement commits by itself? */
  #fit: boolean;

  /** `prepared`: `prepare()` was called on it, and no other call uses it. */
  constructor(connection: MysqlConnection, limit: CallLimit, prepared: boolean) {
    this.#connection = connection;
    this.#limit = limit;
    this.#fit = prepared;
  }

  /**
   * Sets a connection of a pool of our own, once: a read on it is then one round trip. MySQL lets a
   * statement wait for a table's lock, or the server's, although its client is gone: by default a year.
   */
  async prepare(): Promise<void> {
    await this.define(
      "SET SESSION autocommit = 1, innodb_lock_wait_timeout = 1, lock_wait_timeout = 1",
    );
    await this.define("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  }

  /** Is there nothing on the connection that another user of it would meet? */
  get idle(): boolean {
    return this.#open === 0;
  }

  /**
   * What was committed when the statement began. On a pool that was handed in a first read takes two
   * round trips: of a connection's state the server says nothing with rows.
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

  /** How many rows were changed, or found. Committed when it answers. @throws UnfitConnection */
  write(sql: string): Promise<number> {
    return this.define(IN_MARIADB + sql);
  }

  /** As `write`, of an `INSERT … SELECT … ON DUPLICATE KEY UPDATE`. @throws UnfitConnection */
  async upsert(sql: string): Promise<Upserted> {
    return upsertedIn(await this.#change(IN_MARIADB + sql));
  }

  /** A statement that sets or defines something, as it stands. @throws UnfitConnection */
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

/** What the server counted in an upsert: the same whatever the connection's flags are. */
export interface Upserted {
  /** Rows that the SELECT gave; undefined where the answer does not say, behind a proxy for instance. */
  readonly rows: number | undefined;
  /** Rows that stood, and were changed. */
  readonly changed: number | undefined;
}

/** `Records: 3  Duplicates: 2  Warnings: 0`, in whatever language the server speaks. */
export function upsertedIn({ info = "" }: Answer): Upserted {
  const [rows, changed] = info.match(/\d+/g)?.map(Number) ?? [];
  return { rows, changed };
}

/** Rows, all of whose values are texts, or what the server says of a change. */
export type Answer = readonly MysqlRow[] & {
  readonly affectedRows?: number;
  readonly info?: string;
  readonly serverStatus?: number;
};

export function rowsOf(answer: Answer): readonly MysqlRow[] {
  return Array.isArray(answer) ? answer : [];
}

/** mysql2's own `destroy` waits for the server's side to close, which a dead server never does. */
export function discard(connection: MysqlConnection): void {
  connection.destroy();
  socketOf(connection.connection)?.destroy();
}

function socketOf(connection: object | undefined): Socket | undefined {
  const stream: unknown = connection && Reflect.get(connection, "stream");
  return stream instanceof Socket ? stream : undefined;
}
