import { KcError } from "@kc/core";
import type { CallLimit } from "@kc/core/adapter";
import {
  giveBack,
  type PostgresClient,
  type PostgresRows,
  type PostgresTransaction,
  rowsOf,
} from "./client.ts";
import { isPassing, sqlState } from "./errors.ts";
import { checkServer, SERVER } from "./server-check.ts";

/** Runs one call of a session within the limits of every call, and makes StoreErrors of its errors. */
export type Limited = <Answer>(work: (limit: CallLimit) => Promise<Answer>) => Promise<Answer>;

/**
 * A connection that one transaction has for itself, from BEGIN until it is given back. READ COMMITTED is
 * enough: the last statement locks the rows that it compares.
 */
export class Session {
  readonly client: PostgresTransaction;
  /** The server's number for the transaction. */
  transaction = "";
  readonly #client: PostgresClient;
  readonly #limited: Limited;
  readonly #onError = (): void => void (this.#isBroken = true);
  #isBroken = false;
  /** It is committed, or rolled back. */
  #isOver = false;
  /** A call of the store failed: what the server did may not be known. */
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
      "BEGIN ISOLATION LEVEL READ COMMITTED",
      `SET LOCAL idle_in_transaction_session_timeout = ${idleMs}`,
      `SELECT ${SERVER}, txid_current()::text AS transaction`,
    ]);
    checkServer(row);
    this.transaction = String(row?.["transaction"]);
  }

  /** Statements in one text; answers with the rows of each. @throws StoreError; an abort's reason */
  run(statements: readonly string[]): Promise<readonly PostgresRows[]> {
    return this.#ask(async (limit) =>
      rowsOf(await limit.wait(this.#client.query(statements.join(";\n")))),
    );
  }

  /**
   * @throws StoreError; an abort's reason; what the server says of the handler's statements at their end:
   * deferred constraints and triggers
   */
  async commit(): Promise<void> {
    try {
      await this.#ask((limit) => limit.wait(this.#client.query("COMMIT")));
      this.#isOver = true;
    } catch (error) {
      if (!KcError.is(error) || error.retryable || sqlState(error.cause) === undefined) throw error;
      throw error.cause;
    }
  }

  /**
   * Is it this transaction that has to be run again, after what its handler has met? The server is asked: a
   * conflict within another database has left this transaction as it was, and the end of a connection may
   * have been wrapped by a library.
   */
  async hasToRunAgain(error: unknown): Promise<boolean> {
    try {
      await this.#limited((limit) => limit.wait(this.#client.query("SELECT")));
      return false;
    } catch (answer) {
      if (sqlState(Object(answer).cause) === "25P02") return isPassing(error);
      this.#isInDoubt = true;
      return true;
    }
  }

  /**
   * Gives the connection back to the pool if it is known to be whole. What is not committed is rolled back,
   * by the server if it does not answer.
   */
  async close(): Promise<void> {
    const isWhole = this.#isOver || (await this.#isRolledBack());
    this.#client.removeListener("error", this.#onError);
    giveBack(this.#client, isWhole);
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
      this.#isInDoubt = true;
      throw error;
    }
  }
}
