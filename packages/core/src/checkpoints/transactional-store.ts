import type { Checkpoint, Position } from "./position.ts";
import type { CallOptions, CheckpointWrite, Store, StoreScope } from "./store.ts";

/** A checkpoint that is written together with the work that it stands for. */
export interface TransactionalWrite extends CheckpointWrite {
  /**
   * The first record of the work. The write is refused if the store is at it or beyond, so that no
   * record's effects are stored twice, however another process cuts the same records into batches.
   */
  readonly from: Position;
  /**
   * What the caller knows to be stored before the work; undefined = it knows of nothing. The write is refused
   * if less is stored: the store has lost commits, or was reset, and their effects would be missing for good.
   */
  readonly after?: Position | undefined;
}

/** Nothing of the work is stored: another transaction stored at least its first record before. */
export interface AlreadyDone {
  readonly outcome: "already-done";
  /** What the store has: at `from` or beyond. */
  readonly stored: Checkpoint;
}

/** Nothing of the work is stored: the fence does not hold. */
export interface LeaseLost {
  readonly outcome: "lease-lost";
}

export type TransactionResult<Value> =
  | {
      readonly outcome: "committed";
      /** What `work` answered. */
      readonly value: Value;
    }
  | AlreadyDone
  | LeaseLost;

export type CheckpointInResult = { readonly outcome: "written" } | AlreadyDone | LeaseLost;

/**
 * A store that writes a checkpoint in one transaction with the user's own work in the same database:
 * both are stored, or neither is. `Consumer.scanTransaction` needs one. What such a store must keep is
 * proved by `transactionalStoreConformance` of `@kc/conformance`.
 *
 * `Tx` is what the work writes with: a driver's connection with an open transaction, or a collector of
 * writes where the database takes them all at once. `Executor` is a transaction that the user's own code
 * has opened; `never` = the store knows none.
 */
export interface TransactionalStore<Tx = unknown, Executor = never> extends Store {
  /**
   * Opens a transaction, runs `work`, writes the checkpoint as the last statement, and commits. The last
   * statement locks the shard's row, for as long as the commit takes. It holds only if the fence does,
   * as for `setCheckpoint`, and if nothing is stored or what is stored lies before `from`: positions
   * compare by `comparePositions`, and a shard's end comes after all. Of a lost fence and of work that is
   * already done, the lost fence is answered. If neither is so, and what is stored lies before
   * `after`, or nothing is stored, the call throws.
   *
   * Before it calls `work` it may wait for its turn, or for a connection, for as long as that takes; each
   * of its calls of the database has a limit.
   *
   * `work` may be called more than once, by this call or the next one, so it has no other effects. It may
   * be spared where the answer is known without it. The transaction is not committed before what `work`
   * answers has resolved. `work` does not end the transaction itself.
   *
   * When `signal` aborts, the call rejects with its reason at once and rolls back, whether `work` has
   * ended or not. A connection whose state is not known is closed, and not used again.
   *
   * @throws what `work` throws, as it is, after the transaction was rolled back, and what the database
   * refuses of the work when it commits, as the driver has thrown it: both are the work's failure
   * @throws StoreError, retryable: the connection broke, or the database asks for the transaction to be
   * run again (a deadlock, a serialization failure), whoever it told so. Whether a commit took effect may
   * be unknown then: the next call finds out
   * @throws StoreRegressedError: what is stored lies before `after`, or nothing is. Nothing of the work is stored
   * @throws StoreError TRANSACTION_MISUSED: `work` ended the transaction itself, went on after a
   * statement of it had failed, or did what this store's transactions cannot do
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: Tx) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>>;

  /**
   * The last statement of `transact` alone, within a transaction that the user's own code has opened and
   * will commit. After any answer but `written` that code must roll back.
   * @throws as `setCheckpoint`; StoreRegressedError as `transact`
   */
  checkpointIn?(
    executor: Executor,
    scope: StoreScope,
    write: TransactionalWrite,
    options?: CallOptions,
  ): Promise<CheckpointInResult>;

  /**
   * Would a transaction that failed with this error pass if it were run again, with nothing changed? For
   * those that the user's own code opened: the error may be wrapped by a library.
   */
  isPassing?(error: unknown): boolean;
}

/** Has the store transactions? */
export function isTransactionalStore(store: Store): store is TransactionalStore {
  return "transact" in store && typeof store.transact === "function";
}
