import { KcError, StoreError } from "@kc/core";
import type { CallLimit } from "@kc/core/adapter";
import {
  releaseClient,
  lastCommandOf,
  type PostgresClient,
  type PostgresRows,
  type PostgresTransaction,
  rowsOf,
} from "./driver.ts";
import { isTransient, isReadOnly, keepsConnection, sqlState } from "./errors.ts";
import { checkServer, SERVER } from "./server-check.ts";

const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED";

/** Runs one call of a session with a call's timeout and signals, and turns its errors into StoreErrors. */
export type Limited = <Answer>(work: (limit: CallLimit) => Promise<Answer>) => Promise<Answer>;

/**
 * A connection that is reserved for one transaction, from BEGIN until it is released. READ COMMITTED is enough,
 * because the last statement locks the rows that it compares.
 */
export class TransactionSession {
  readonly client: PostgresTransaction;
  /** The server's id of the transaction. */
  transaction = "";
  /** The search_path at the transaction's begin. The handler may set another one. */
  searchPath = "";
  readonly #client: PostgresClient;
  readonly #limited: Limited;
  readonly #onError = (): void => void (this.#isBroken = true);
  #isBroken = false;
  /** True once the transaction is committed or rolled back. */
  #isEnded = false;
  /** True if a call of the store failed without the server's answer, so that its effect is unknown. */
  #isInDoubt = false;

  constructor(client: PostgresClient, limited: Limited) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a pool of pg gives out
    this.client = client as unknown as PostgresTransaction;
    this.#client = client;
    this.#limited = limited;
    client.on("error", this.#onError);
  }

  /** @param idleMs the server ends the transaction if it is idle for longer than this */
  async begin(idleMs: number): Promise<void> {
    const [, , [row] = []] = await this.run([
      BEGIN,
      `SET LOCAL idle_in_transaction_session_timeout = ${idleMs}`,
      `SELECT ${SERVER}, current_setting('transaction_read_only') AS read_only,
        current_setting('search_path') AS search_path,
        CASE WHEN NOT pg_is_in_recovery() THEN txid_current()::text END AS transaction`,
    ]);
    checkServer(row);
    if (row?.["read_only"] === "on") throw readOnly();
    this.transaction = String(row?.["transaction"]);
    this.searchPath = row?.["search_path"] ?? "";
  }

  /** Runs statements in one text, and returns the rows of each. @throws StoreError; an abort's reason */
  run(statements: readonly string[]): Promise<readonly PostgresRows[]> {
    return this.#ask(async (limit) =>
      rowsOf(await limit.wait(this.#client.query(statements.join(";\n")))),
    );
  }

  /**
   * Runs the last statements and commits, in one text: if one of them fails, COMMIT is not run.
   * @throws StoreError; an abort's reason
   */
  async commit(statements: readonly string[]): Promise<void> {
    const text = [...statements, "COMMIT"].join(";\n");
    const answer = await this.#ask((limit) => limit.wait(this.#client.query(text)));
    // COMMIT of a failed transaction is not an error: the server answers ROLLBACK.
    const command = lastCommandOf(answer);
    if (command !== "COMMIT") throw notCommitted(command);
    this.#isEnded = true;
  }

  /** Rolls back, runs other statements, rolls these back too, and returns the rows of each. */
  async instead(statements: readonly string[]): Promise<readonly PostgresRows[]> {
    const rows = await this.run(["ROLLBACK", BEGIN, ...statements, "ROLLBACK"]);
    this.#isEnded = true;
    return rows.slice(2, -1);
  }

  /**
   * Whether this transaction must be run again after its handler failed with `error`. The server decides: a
   * conflict in another database leaves this transaction intact, and a library may have wrapped the error of a
   * lost connection.
   */
  async mustRetry(error: unknown): Promise<boolean> {
    try {
      await this.#limited((limit) => limit.wait(this.#client.query("SELECT")));
      return false;
    } catch (answer) {
      const { cause }: { readonly cause?: unknown } = Object(answer);
      if (sqlState(cause) === "25P02" && !isReadOnly(error)) return isTransient(error);
      // A new connection may reach a server that accepts writes.
      this.#isInDoubt = true;
      // There was no answer within the timeout: a statement that the handler left running takes longer.
      return cause !== undefined || isTransient(error);
    }
  }

  /**
   * Returns the connection to the pool if it is known to be reusable. An uncommitted transaction is rolled back; if
   * the server does not answer, the connection is closed and the server rolls back.
   */
  async close(): Promise<void> {
    this.#leave(this.#isEnded || (await this.#isRolledBack()));
  }

  /** Closes the connection. A new one may reach another server, or other settings of the same one. */
  discard(): void {
    this.#leave(false);
  }

  #leave(isReusable: boolean): void {
    this.#client.removeListener("error", this.#onError);
    releaseClient(this.#client, isReusable);
  }

  async #isRolledBack(): Promise<boolean> {
    if (this.#isBroken || this.#isInDoubt) return false;
    try {
      await this.#ask((limit) => limit.wait(this.#client.query("ROLLBACK")));
      return true;
    } catch {
      return false; // The connection is closed, and the server rolls back.
    }
  }

  async #ask<Answer>(work: (limit: CallLimit) => Promise<Answer>): Promise<Answer> {
    try {
      return await this.#limited(work);
    } catch (error) {
      this.#isInDoubt ||= !KcError.is(error) || !keepsConnection(error.cause);
      throw error;
    }
  }
}

function readOnly(): StoreError {
  return new StoreError(
    "STORE_UNAVAILABLE",
    "this Postgres server is read-only (default_transaction_read_only is on, set by its owner or because the disk " +
      "is full): the handler is not called until the server, or another one behind the connection, accepts writes",
    { retryable: true },
  );
}

function notCommitted(command: string): StoreError {
  return new StoreError(
    "STORE_UNAVAILABLE",
    `Postgres answered ${command} to COMMIT: the transaction was not committed, and is run again`,
    { retryable: true },
  );
}
