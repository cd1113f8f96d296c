import { randomBytes } from "node:crypto";
import {
  StoreError,
  type CallOptions,
  type CheckpointInResult,
  type StoreScope,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import {
  checkNotRegressed,
  joined,
  lend,
  misused,
  transactionOutcome,
  unlessAborted,
} from "@kc/core/adapter";
import type { PoolConnection } from "mysql2/promise";
import type { Calls } from "./calls.ts";
import { FREE } from "./checkpoints.ts";
import type { Connection } from "./connection.ts";
import { IN_MARIADB, type MysqlRow, type Upserted } from "./driver.ts";
import { isTransient, isWrappedInTransaction, retryableError, toStoreError } from "./errors.ts";
import { rowsByExecutor, type MysqlExecutor } from "./executors.ts";
import { addLeaseRows } from "./lease-statements.ts";
import { snapshotOf, snapshotStatement } from "./snapshot.ts";
import { columnsOf } from "./rows.ts";
import type { Place } from "./sql.ts";
import { advance, putMark } from "./statements.ts";
import type { TransactionSession } from "./transaction-session.ts";

/** Methods that the handler may not call: they end the transaction or release the connection. */
const RESERVED_METHODS = [
  "beginTransaction",
  "commit",
  "rollback",
  "release",
  "destroy",
  "end",
  "reset",
  "changeUser",
  "Symbol(Symbol.asyncDispose)",
];
/** Fails within a transaction. Outside of one it changes nothing, since it sets the default. */
const PROBE = "SET TRANSACTION READ WRITE";

/** Runs the last statements, in a transaction that the store or the handler opened. */
interface Statements {
  change(sql: string): Promise<Upserted>;
  read(sql: string): Promise<readonly MysqlRow[]>;
}

/** Transactions of handlers, with the checkpoint as their last statement. */
export class Transactions {
  readonly #connection: Connection;
  readonly #calls: Calls;

  constructor(connection: Connection, calls: Calls) {
    this.#connection = connection;
    this.#calls = calls;
  }

  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: PoolConnection) => Value | PromiseLike<Value>,
    { signal }: CallOptions = {},
  ): Promise<TransactionResult<Value>> {
    return joined([this.#connection.closing, signal], (stop) =>
      this.#transactUntil(stop, scope, write, work),
    );
  }

  async #transactUntil<Value>(
    stop: AbortSignal,
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: PoolConnection) => Value | PromiseLike<Value>,
  ): Promise<TransactionResult<Value>> {
    const { mostTransactions, turns } = this.#connection;
    const endTurn = await turns.take(mostTransactions, stop);
    try {
      return await this.#calls.inPlace(scope, [write], { signal: stop }, async (place) => {
        const session = await this.#connection.begin(stop);
        try {
          const value = await fill(session, write.shardId, work, stop);
          if (!(await session.isIntact())) throw misused(write.shardId, ENDED);
          if (session.hasOtherDatabase) throw misused(write.shardId, OTHER_DATABASE);
          const result = await writeIn(session, place, scope, write);
          if (result.outcome !== "written") return result;
          await session.commit();
          return { outcome: "committed", value };
        } finally {
          await session.close();
        }
      });
    } finally {
      endTurn();
    }
  }

  /** Only the last statement. @throws StoreError TRANSACTION_MISUSED outside of a transaction */
  checkpointIn(
    executor: MysqlExecutor,
    scope: StoreScope,
    write: TransactionalWrite,
    options: CallOptions | undefined,
  ): Promise<CheckpointInResult> {
    const statements: Statements = {
      async change(sql) {
        await executor.query(sql);
        return { rows: undefined, changed: undefined };
      },
      read: (sql) => rowsByExecutor(executor, sql),
    };
    return this.#calls.inPlace(scope, [write], options, async (place) => {
      try {
        await checkIsInTransaction(executor, write.shardId);
        return await writeIn(statements, place, scope, write);
      } catch (error) {
        throw isTransient(error) ? retryableError(error) : toStoreError(error);
      }
    });
  }
}

/** Runs `work`. @throws what `work` throws; a retryable StoreError if the transaction must be run again */
async function fill<Value>(
  session: TransactionSession,
  shardId: string,
  work: (tx: PoolConnection) => Value | PromiseLike<Value>,
  stop: AbortSignal,
): Promise<Value> {
  const { tx, takeBack } = lend(shardId, session.client, RESERVED_METHODS);
  try {
    return await unlessAborted(stop, work(tx));
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    throw session.mustRetry(error) ? retryableError(error) : error;
  } finally {
    takeBack();
  }
}

/**
 * Probes twice. A statement of the handler may still be in flight, although the checkpoint must be the last one. It is
 * answered before the first probe; if it failed, the handler's library rolls back before the second.
 */
async function checkIsInTransaction(executor: MysqlExecutor, shardId: string): Promise<void> {
  for (let asked = 0; asked < 2; asked += 1) {
    if (!(await isInTransactionNow(executor))) throw misused(shardId, NO_TRANSACTION);
  }
}

async function isInTransactionNow(executor: MysqlExecutor): Promise<boolean> {
  try {
    await executor.query(PROBE);
    return false;
  } catch (error) {
    if (isWrappedInTransaction(error)) return true;
    throw error;
  }
}

/**
 * Moves the checkpoint if the lease matches the write's fence, and the stored checkpoint lies before the work's first
 * record and not before the one that the worker knows to be stored. The rows are compared under locks that are held
 * until the transaction's end, whatever the transaction read before.
 */
async function writeIn(
  statements: Statements,
  place: Place,
  scope: StoreScope,
  write: TransactionalWrite,
): Promise<CheckpointInResult> {
  const { shardId, checkpoint, fence } = write;
  const mark = randomBytes(8).readBigUInt64BE();
  const row = {
    ...columnsOf(shardId, checkpoint),
    epoch: fence?.epoch ?? null,
    owner: fence?.owner ?? null,
  };
  const wanted = { leases: [shardId], checkpoints: [shardId] };
  for (let hasLease = false; ; hasLease = true) {
    const counted = await statements.change(IN_MARIADB + advance(place, scope, [row], mark, write));
    const isMoved = counted.rows === 1 && counted.changed === 1;
    if (isMoved && !place.hasUserColumns) return { outcome: "written" };
    const rows = await statements.read(snapshotStatement(place, wanted, "locking"));
    const { leases, checkpoints } = snapshotOf(rows, place, scope, wanted);
    const stored = checkpoints.get(shardId);
    if (stored?.write === String(mark)) return { outcome: "written" };
    if (stored?.write === String(putMark(mark))) checkNotRegressed(write, undefined);
    if (fence === undefined && !leases.has(shardId) && !hasLease) {
      await statements.change(IN_MARIADB + addLeaseRows(place, [shardId]));
      continue;
    }
    const result = transactionOutcome(write, leases.get(shardId) ?? FREE, stored?.checkpoint);
    if (result.outcome !== "written") return result;
    throw refusedByTrigger(shardId);
  }
}

const ENDED =
  "the transaction had ended before the handler did. Either the handler ended it, by COMMIT or ROLLBACK, or by a " +
  "statement that commits, such as CREATE TABLE: what it wrote before that may be stored. Or it continued " +
  "after a deadlock, which rolls back the whole transaction: let the handler throw such errors";
const OTHER_DATABASE =
  "the handler made another database the connection's default, by USE: name the database before the table " +
  "instead. The store's tables, and the next handler's, would be looked for in it";
const NO_TRANSACTION =
  "checkpoint() was called outside of a transaction: pass it the executor of the transaction that contains " +
  "the handler's writes";

/** The rows were locked and compared, so only a trigger can have prevented the write. */
function refusedByTrigger(shardId: string): StoreError {
  const text =
    `MySQL: the checkpoint of ${shardId} was not written, although it is ahead of the stored one: a trigger ` +
    "on the table prevents the write. Drop it";
  return new StoreError("STORE_FAILED", text, { shardId });
}
