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
import { isPassing, isReadOnly, keepsConnection, sqlState } from "./errors.ts";
import { checkServer, SERVER } from "./server-check.ts";

const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED";

/** Runs one call of a session within the limits of every call, and makes StoreErrors of its errors. */
export type Limited = <Answer>(work: (limit: CallLimit) => Promise<Answer>) => Promise<Answer>;

/**
 * A connection that one transaction has for itself, from BEGIN until it is given back. READ COMMITTED is
 * enough: the last statement locks the rows that it compares.
 */
export class TransactionSession {
  readonly client: PostgresTransaction;
  /** The server's number for the transaction. */
  transaction = "";
  /** The search_path that the transaction began with: its handler may set another one. */
  searchPath = "";
  readonly #client: PostgresClient;
  readonly #limited: Limited;
  readonly #onError = (): void => void (this.#isBroken = true);
  #isBroken = false;
  /** It is committed, or rolled back. */
  #isEnded = false;
  /** A call of the store failed without the server's answer: what it did is not known. */
  #isInDoubt = false;

  constructor(client: PostgresClient, limited: Limited) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a pool of pg gives out
    this.client = client as unknown as PostgresTransaction;
    this.#client = client;
    this.#limited = limited;
    client.on("error", this.#onError);
  }

  /** @param idleMs the server ends the transaction when it waits so long for its next statement */
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

  /** Statements in one text; answers with the rows of each. @throws StoreError; an abort's reason */
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
    // COMMIT of a transaction that has failed is no error: it answers ROLLBACK.
    const command = lastCommandOf(answer);
    if (command !== "COMMIT") throw notCommitted(command);
    this.#isEnded = true;
  }

  /** Rolls back, and runs other statements, which are rolled back too; answers with the rows of each. */
  async instead(statements: readonly string[]): Promise<readonly PostgresRows[]> {
    const rows = await this.run(["ROLLBACK", BEGIN, ...statements, "ROLLBACK"]);
    this.#isEnded = true;
    return rows.slice(2, -1);
  }

  /**
   * Is it this transaction that has to be run again, after what its handler has met? The server is asked: a
   * conflict within another database has left this transaction as it was, and the end of a connection may
   * have been wrapped by a library.
   */
  async mustRetry(error: unknown): Promise<boolean> {
    try {
      await this.#limited((limit) => limit.wait(this.#client.query("SELECT")));
      return false;
    } catch (answer) {
      const { cause }: { readonly cause?: unknown } = Object(answer);
      if (sqlState(cause) === "25P02" && !isReadOnly(error)) return isPassing(error);
      // A new connection may find a server that takes writes.
      this.#isInDoubt = true;
      // Without any answer in time: the handler has left a statement that takes longer.
      return cause !== undefined || isPassing(error);
    }
  }

  /**
   * Gives the connection back to the pool if it is known to be reusable. What is not committed is rolled back,
   * by the server if it does not answer.
   */
  async close(): Promise<void> {
    this.#leave(this.#isEnded || (await this.#isRolledBack()));
  }

  /** Closes the connection: a new one may lead to another server, or to other settings of the same one. */
  discard(): void {
    this.#leave(false);
  }

  #leave(isWhole: boolean): void {
    this.#client.removeListener("error", this.#onError);
    releaseClient(this.#client, isWhole);
  }

  async #isRolledBack(): Promise<boolean> {
    if (this.#isBroken || this.#isInDoubt) return false;
    try {
      await this.#ask((limit) => limit.wait(this.#client.query("ROLLBACK")));
      return true;
    } catch {
      return false; // It is closed, and the server rolls back.
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
    "this Postgres server is read-only (default_transaction_read_only is on, by its owner or a full disk): the " +
      "handler is not called until it takes writes, or the connection leads to another server",
    { retryable: true },
  );
}

function notCommitted(command: string): StoreError {
  return new StoreError(
    "STORE_UNAVAILABLE",
    `Postgres answered ${command} to COMMIT: the transaction is not stored, and is run again`,
    { retryable: true },
  );
}
