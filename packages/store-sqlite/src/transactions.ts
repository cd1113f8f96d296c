import type { StoreError, StoreScope, TransactionalWrite, TransactionResult } from "@kc/core";
import { isPromiseLike, lend, misused, transactionOutcome } from "@kc/core/adapter";
import { readShards, writeCheckpoints } from "./checkpoints.ts";
import type { Session, SqliteDatabase } from "./driver.ts";
import { isConstraint, isLock } from "./errors.ts";
import { guarded } from "./guarded.ts";
import { checkpointOf, leaseOf } from "./rows.ts";

/** A savepoint that no longer exists if the work ended the transaction, even if it has begun another one. */
const SAVEPOINT = "kc_work";
/** Methods that the handler may not call: only the owner closes the connection. */
const RESERVED_METHODS = ["close"];
/** Methods that return objects which the handler could keep and use after its transaction. */
const MAKERS: ReadonlySet<string | symbol> = new Set(["prepare", "transaction"]);

/** Wraps what the work has thrown, or the caller's abort, to distinguish it from the store's errors. */
export class WorkFailed extends Error {
  constructor(cause: unknown) {
    super("the work of a transaction failed", { cause });
  }
}

/**
 * Runs one transaction, under the write lock from its begin. It reads the shard first, and does not run work that would
 * be refused.
 * @throws WorkFailed
 */
export function transactIn<Value>(
  session: Session,
  scope: StoreScope,
  write: TransactionalWrite,
  work: (tx: SqliteDatabase) => Value,
  signal: AbortSignal | undefined,
): TransactionResult<Value> {
  let isWorkDone = false;
  try {
    return session.write<TransactionResult<Value>>(() => {
      const row = readShards(session, scope, [write.shardId]).get(write.shardId);
      const result = transactionOutcome(write, leaseOf(row), checkpointOf(row));
      if (result.outcome !== "written") return result;
      const value = runWork(session.database, work, write.shardId);
      if (signal?.aborted) throw new WorkFailed(signal.reason);
      writeCheckpoints(session, scope, [write]);
      isWorkDone = true;
      return { outcome: "committed", value };
    });
  } catch (error) {
    // At COMMIT only deferred constraints are checked, and only on the work's rows.
    throw isWorkDone && isConstraint(error) ? new WorkFailed(error) : error;
  }
}

/** Runs the work and returns its value. @throws WorkFailed */
function runWork<Value>(
  database: SqliteDatabase,
  work: (tx: SqliteDatabase) => Value,
  shardId: string,
): Value {
  database.exec(`SAVEPOINT ${SAVEPOINT}`);
  // After the transaction's end, a statement would commit by itself.
  const check = (): void => {
    if (!database.inTransaction) throw ended(shardId);
  };
  const { tx, takeBack } = lend(shardId, database, RESERVED_METHODS, {
    check,
    made: (answer, method) => (MAKERS.has(method) ? guarded(Object(answer), check) : answer),
  });
  let value: Value;
  try {
    value = work(tx);
  } catch (error) {
    throw new WorkFailed(error);
  } finally {
    takeBack();
  }
  if (isPromiseLike(value)) {
    value.then(undefined, () => undefined); // It rejects at its next use of the connection; this error reports it.
    throw new WorkFailed(
      misused(shardId, "the handler returned a promise, but SQLite's transactions are synchronous"),
    );
  }
  try {
    database.exec(`RELEASE ${SAVEPOINT}`);
  } catch (error) {
    // A lock error can only come from a statement of this connection: the transaction has the write lock.
    throw new WorkFailed(isLock(error) ? misused(shardId, STATEMENT_OPEN) : ended(shardId));
  }
  return value;
}

const STATEMENT_OPEN =
  "a statement of the handler is still running, so nothing can be committed: read iterators to their end, " +
  "and with libsql call get() or all() on a statement with RETURNING, not run()";

function ended(shardId: string): StoreError {
  return misused(
    shardId,
    "the transaction has ended: the handler has returned, or it or a failed statement ended the " +
      "transaction. Leave that to the consumer, and use tx only while the handler runs",
  );
}
