import {
  describeError,
  KcError,
  StoreError,
  type CallOptions,
  type CheckpointInResult,
  type StoreScope,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import {
  checkNotRegressed,
  errorsIn,
  isAtOrBeyond,
  joined,
  lend,
  misused,
  unlessAborted,
} from "@kc/core/adapter";
import type { Calls, Place } from "./calls.ts";
import type { PostgresRows, PostgresTransaction } from "./driver.ts";
import { sqlState } from "./errors.ts";
import { quotedFor, type PostgresExecutor } from "./executors.ts";
import { checkpointOf } from "./rows.ts";
import type { TransactionSession } from "./transaction-session.ts";
import * as sql from "./statements.ts";

type Refusal = Exclude<CheckpointInResult, { readonly outcome: "written" }>;

/** Methods that the handler may not call: they end the transaction or release the connection. */
const RESERVED_METHODS = ["release", "end"];
/** True within a transaction: `now()` is the time of BEGIN. For a statement by itself, both times are equal. */
const IN_TRANSACTION = "now() < statement_timestamp()";

/** Transactions of handlers, with the checkpoint as their last statement. */
export class Transactions {
  readonly #calls: Calls;
  readonly #idleMs: number;

  /** @param idleMs the server ends a transaction that is idle for longer than this */
  constructor(calls: Calls, idleMs: number) {
    this.#calls = calls;
    this.#idleMs = idleMs;
  }

  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: PostgresTransaction) => Value | PromiseLike<Value>,
    { signal }: CallOptions = {},
  ): Promise<TransactionResult<Value>> {
    return joined([this.#calls.connection.closing, signal], (stop) =>
      this.#transactUntil(stop, scope, write, work),
    );
  }

  async #transactUntil<Value>(
    stop: AbortSignal,
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: PostgresTransaction) => Value | PromiseLike<Value>,
  ): Promise<TransactionResult<Value>> {
    const { connection } = this.#calls;
    const endTurn = await connection.turns.take(connection.mostTransactions, stop);
    try {
      const session = await connection.begin(this.#idleMs, stop);
      try {
        const value = await this.#fill(session, write, work, stop);
        const refusal = await this.#commit(session, scope, write);
        return refusal ?? { outcome: "committed", value };
      } finally {
        await session.close();
      }
    } finally {
      endTurn();
    }
  }

  /** Only the last statement. @throws StoreError TRANSACTION_MISUSED outside of a transaction */
  async checkpointIn(
    executor: PostgresExecutor,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    const place = this.#calls.placeOf(scope, quotedFor);
    const run = async (text: string): Promise<PostgresRows> =>
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the statements ask for text alone
      (await executor.query(text)) as PostgresRows;
    const { shardId, fence, from, after } = write;
    try {
      if (fence === undefined) await run(sql.addLeaseRows(place, [shardId]));
      const done = await run(
        sql.move(place, [write], { shardId, from, after, isThisOne: IN_TRANSACTION }),
      );
      if (whatOf(done).has("moved")) return { outcome: "written" };
      const claim = await run(sql.claim(place));
      const storedRows = await run(sql.readStored(place, [shardId]));
      const [row] = await run(`SELECT (${IN_TRANSACTION})::text AS is_this_one`);
      this.#calls.checkClaim(scope, claim);
      if (row?.["is_this_one"] !== "true") throw misused(shardId, NO_TRANSACTION);
      return this.#refusal(scope, write, { claim, done, storedRows });
    } catch (error) {
      throw hasFailed(error) ? misused(shardId, SWALLOWED) : this.#calls.connection.failure(error);
    }
  }

  /** Runs `work`. @throws what `work` throws; a retryable StoreError if the transaction must be run again */
  async #fill<Value>(
    session: TransactionSession,
    write: TransactionalWrite,
    work: (tx: PostgresTransaction) => Value | PromiseLike<Value>,
    stop: AbortSignal,
  ): Promise<Value> {
    const { tx, takeBack } = lend(write.shardId, session.client, RESERVED_METHODS);
    try {
      return await unlessAborted(stop, work(tx));
    } catch (error) {
      stop.throwIfAborted();
      const mustRetry = await session.mustRetry(error);
      stop.throwIfAborted();
      throw mustRetry ? this.#retryable(write.shardId, error) : error;
    } finally {
      takeBack();
    }
  }

  /** The error for a transaction that must be run again. `cause` may be a library's wrapper of the driver's error. */
  #retryable(shardId: string, cause: unknown): StoreError {
    return new StoreError(
      "STORE_UNAVAILABLE",
      `${this.#calls.connection.where}: the transaction of ${shardId} must be run again: it conflicted with ` +
        `another one, or lost its connection (${describeError(cause)})`,
      { retryable: true, shardId, cause },
    );
  }

  /**
   * Writes the checkpoint as the last statement, and commits. Returns `undefined` if it was committed.
   * @throws the server's errors of the handler's deferred constraints and triggers
   */
  async #commit(
    session: TransactionSession,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<Refusal | undefined> {
    const { shardId, fence, from, after } = write;
    const place = this.#calls.placeOf(scope, (value) => session.client.escapeLiteral(value));
    const isThisOne = `txid_current()::text = ${place.quote(session.transaction)}`;
    try {
      const last = [
        ...(fence === undefined ? [sql.addLeaseRows(place, [shardId])] : []),
        sql.moveOrFail(place, write, { shardId, from, after, isThisOne }),
      ];
      await session.commit([
        ...this.#calls.connection.limits,
        // Without the option `schema`, the pool's search_path finds the tables.
        ...(place.tables.schema === undefined
          ? sql.inSearchPath(place, session.searchPath, last)
          : last),
      ]);
      return undefined;
    } catch (error) {
      const { cause }: { readonly cause?: unknown } = Object(error);
      if (hasFailed(cause)) throw misused(shardId, SWALLOWED);
      const kept = sql.commitRefusal(cause);
      if (kept === "ended") throw misused(shardId, ANOTHER_TRANSACTION);
      if (!KcError.is(error) || error.retryable || sqlState(cause) === undefined) throw error;
      const refusal = await this.#alone(session, place, write);
      if (refusal !== undefined) return refusal;
      throw kept === "refused" ? this.#retryable(shardId, cause) : cause;
    }
  }

  /**
   * Runs the last statements without the handler's, and rolls them back. This separates errors of the store's own
   * statements from those of the handler's work. Returns `undefined` if the checkpoint could be written.
   * @throws StoreError for errors of the store's own tables
   */
  async #alone(
    session: TransactionSession,
    place: Place,
    write: TransactionalWrite,
  ): Promise<Refusal | undefined> {
    const { shardId, fence, from, after } = write;
    const { limits } = this.#calls.connection;
    const rows = await session.instead([
      ...limits,
      sql.claim(place),
      sql.addLeaseRows(place, fence === undefined ? [shardId] : []),
      sql.move(place, [write], { shardId, from, after, isThisOne: "true" }),
      sql.readStored(place, [shardId]),
    ]);
    const [claim, , done, storedRows] = rows.slice(limits.length);
    if (whatOf(done!).has("moved")) return undefined;
    return this.#refusal(place.scope, write, {
      claim: claim!,
      done: done!,
      storedRows: storedRows!,
    });
  }

  /** Why a checkpoint was not written. @throws if the reason is an error and not an outcome */
  #refusal(
    scope: StoreScope,
    write: TransactionalWrite,
    rows: {
      readonly claim: PostgresRows;
      readonly done: PostgresRows;
      readonly storedRows: PostgresRows;
    },
  ): Refusal {
    this.#calls.checkClaim(scope, rows.claim);
    if (!whatOf(rows.done).has("held")) return { outcome: "lease-lost" };
    const stored = rows.storedRows[0] && checkpointOf(rows.storedRows[0]);
    if (stored !== undefined && isAtOrBeyond(stored, write.from)) {
      return { outcome: "already-done", stored };
    }
    checkNotRegressed(write, stored);
    throw this.#calls.refusedByTrigger(write.shardId);
  }
}

const SWALLOWED =
  "a statement of the handler failed, and the handler continued: Postgres rolls back the whole transaction. Let " +
  "the handler throw the error, or set a SAVEPOINT before the statement and roll back to it";
const ANOTHER_TRANSACTION =
  "the handler ended the transaction itself, by COMMIT, ROLLBACK or END: leave that to the consumer";
const NO_TRANSACTION =
  "checkpoint() was called outside of a transaction: pass it the executor of the transaction that contains " +
  "the handler's writes";

/** Whether the transaction had failed before. Libraries may have wrapped the server's error. */
function hasFailed(error: unknown): boolean {
  return errorsIn(error).some((each) => sqlState(each) === "25P02");
}

function whatOf(done: PostgresRows): ReadonlySet<string | null | undefined> {
  return new Set(done.map((row) => row["what"]));
}
