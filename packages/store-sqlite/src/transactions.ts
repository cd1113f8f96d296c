import type { StoreError, StoreScope, TransactionalWrite, TransactionResult } from "@kc/core";
import { isPromiseLike, lend, misused, transactionOutcome } from "@kc/core/adapter";
import { readShards, writeCheckpoints } from "./checkpoints.ts";
import type { Session, SqliteDatabase } from "./driver.ts";
import { isConstraint, isLock } from "./errors.ts";
import { guarded } from "./guarded.ts";
import { checkpointOf, leaseOf } from "./rows.ts";

/** A savepoint that is gone when the work has ended the transaction, whatever it has begun since. */
const SAVEPOINT = "kc_work";
/** What ends the connection is its owner's to call. */
const RESERVED_METHODS = ["close"];
/** What these answer can be kept, and used when the work is over. */
const MAKERS: ReadonlySet<string | symbol> = new Set(["prepare", "transaction"]);

/** What the work has thrown, or its caller's abort: none of the store's errors. */
export class WorkFailed extends Error {
  constructor(cause: unknown) {
    super("the work of a transaction failed", { cause });
  }
}

/**
 * One transaction, under the write lock from its beginning: the shard is looked at first, and work that would
 * be refused is spared.
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
    // At COMMIT only the work's rows can still break a constraint: a deferred one.
    throw isWorkDone && isConstraint(error) ? new WorkFailed(error) : error;
  }
}

/** What the work answers. @throws WorkFailed */
function runWork<Value>(
  database: SqliteDatabase,
  work: (tx: SqliteDatabase) => Value,
  shardId: string,
): Value {
  database.exec(`SAVEPOINT ${SAVEPOINT}`);
  // What a statement does after the end of the transaction would stand by itself.
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
    value.then(undefined, () => undefined); // It fails at its next use of the connection, which is told here.
    throw new WorkFailed(
      misused(
        shardId,
        "the handler answered with a promise, and SQLite's transactions are synchronous",
      ),
    );
  }
  try {
    database.exec(`RELEASE ${SAVEPOINT}`);
  } catch (error) {
    // Nobody else can hold a lock that it needs.
    throw new WorkFailed(isLock(error) ? misused(shardId, STATEMENT_OPEN) : ended(shardId));
  }
  return value;
}

const STATEMENT_OPEN =
  "a statement of the handler is still under way, so nothing can be committed: read iterators to their end, " +
  "and with libsql call get() or all() on a statement with RETURNING, not run()";

function ended(shardId: string): StoreError {
  return misused(
    shardId,
    "the transaction is over: the handler has returned, it ended the transaction itself, or a failed " +
      "statement did. Leave that to the consumer, and use tx only while the handler runs",
  );
}
