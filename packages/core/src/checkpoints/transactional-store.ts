import type { Checkpoint, Position } from "./position.ts";
import type { CallOptions, CheckpointWrite, Store, StoreScope } from "./store.ts";

/** A checkpoint that is written in one transaction with the work that it covers. */
export interface TransactionalWrite extends CheckpointWrite {
  /**
   * The first record of the work. The write is refused if the stored checkpoint is at or beyond it, so that
   * no record's effects are stored twice, however another process divides the same records into batches.
   */
  readonly from: Position;
  /**
   * The position that the caller knows to be stored; undefined = it knows of none. The write is refused if
   * less is stored: then the store has lost commits or was reset, and their effects would stay missing.
   */
  readonly after?: Position | undefined;
}

/** None of the work is stored: another transaction has stored at least its first record before. */
export interface AlreadyDone {
  readonly outcome: "already-done";
  /** The stored checkpoint: at `from` or beyond. */
  readonly stored: Checkpoint;
}

/** None of the work is stored: the fence does not hold. */
export interface LeaseLost {
  readonly outcome: "lease-lost";
}

export type TransactionResult<Value> =
  | {
      readonly outcome: "committed";
      /** What `work` returned. */
      readonly value: Value;
    }
  | AlreadyDone
  | LeaseLost;

export type CheckpointInResult = { readonly outcome: "written" } | AlreadyDone | LeaseLost;

/**
 * A store that writes a checkpoint in one transaction with the user's own work in the same database:
 * both are stored, or neither is. `Consumer.scanTransaction` needs one. `transactionalStoreConformance` of
 * `@kc/conformance` tests what such a store must guarantee.
 *
 * `Tx` is what the work writes with: a driver's connection with an open transaction, or a collector of
 * writes if the database accepts them only in one request. `Executor` is a transaction that the user's own
 * code has opened; `never` if the store does not support that.
 */
export interface TransactionalStore<Tx = unknown, Executor = never> extends Store {
  /**
   * Opens a transaction, runs `work`, writes the checkpoint as the last statement, and commits. The last
   * statement locks the shard's row until the commit. It succeeds only if the fence holds, as for
   * `setCheckpoint`, and if nothing is stored or the stored checkpoint is before `from`. Positions are
   * compared by `comparePositions`; a shard's end is after all of them. If the fence is lost and the work is
   * already done, the outcome is the lost fence. If neither is the case, and the stored checkpoint is before
   * `after` or missing, the call throws.
   *
   * Before it calls `work` it may wait for its turn or for a connection without a time limit; each of its
   * database calls has a timeout.
   *
   * `work` may be called more than once, by this call or the next one, so it must have no other effects. It
   * is not called if the outcome is known without it. The transaction is not committed before the promise
   * that `work` returns has resolved. `work` must not end the transaction itself.
   *
   * When `signal` aborts, the call immediately rejects with its reason and rolls back, whether `work` has
   * ended or not. A connection whose state is not known is closed and not reused.
   *
   * @throws what `work` throws, unchanged, after the transaction was rolled back; the driver's error if the
   * database refuses the work at the commit. Both are failures of the work
   * @throws StoreError, retryable: the connection broke, or the database asked for the transaction to be run
   * again (a deadlock, a serialization failure), even if `work` got that error. Whether a commit took effect
   * may be unknown then: the next call finds out
   * @throws StoreRegressedError: the stored checkpoint is before `after` or missing. None of the work is stored
   * @throws StoreError TRANSACTION_MISUSED: `work` ended the transaction itself, continued after one of its
   * statements had failed, or did something that this store's transactions do not support
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: Tx) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>>;

  /**
   * Only the last statement of `transact`, within a transaction that the user's own code has opened and
   * will commit. After any outcome but `written` that code must roll back.
   * @throws as `setCheckpoint`; StoreRegressedError as `transact`
   */
  checkpointIn?(
    executor: Executor,
    scope: StoreScope,
    write: TransactionalWrite,
    options?: CallOptions,
  ): Promise<CheckpointInResult>;

  /**
   * Whether a transaction that failed with this error may succeed if it is run again unchanged. Called for
   * transactions that the user's own code opened: a library may have wrapped the error.
   */
  isTransient?(error: unknown): boolean;
}

/** Whether the store supports transactions. */
export function isTransactionalStore(store: Store): store is TransactionalStore {
  return "transact" in store && typeof store.transact === "function";
}
