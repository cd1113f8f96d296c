import type { Fence } from "./checkpoints/store.ts";
import type { ConsumerRecord } from "./record.ts";

/**
 * A handler returns this to continue without a checkpoint for the record. The success of a later record
 * covers it, and so does the end of the shard. If neither comes before a stop, the record is delivered again.
 */
export const SkipCheckpoint: unique symbol = Symbol.for("@kc/SkipCheckpoint");

/**
 * Called for one record of a shard at a time, in order; with `concurrency` for several. It may be sync or
 * async. What it throws is judged by `retry` and `onFailure`: by default the scan rejects with a
 * `HANDLER_FAILED` error that names the shard and has what was thrown as its `cause`.
 */
export type Handler<Value = unknown> = (
  record: ConsumerRecord<Value>,
  context: HandlerContext,
) => unknown;

/** The context of a batch handler: as that of a record, with one `signal` for the batch. */
export type BatchContext = HandlerContext;

/**
 * Called for a batch of records of one shard, in their order. It may be sync or async. If it throws, no
 * record of the batch is done. It may return Lambda's `{ batchItemFailures: [{ itemIdentifier }] }`: see
 * `BatchAnswer`.
 */
export type BatchHandler<Value = unknown> = (
  records: readonly ConsumerRecord<Value>[],
  context: BatchContext,
) => unknown;

/** The context of a handler of `scanTransaction`, in a transaction that the store has opened. */
export interface TransactionContext<Tx> extends BatchContext {
  /** What the handler writes with. The store commits or rolls back once the handler has returned. */
  readonly tx: Tx;
}

/** The same where the handler opens the transaction by itself: `transaction: "handler"`. */
export interface OwnTransactionContext<Executor> extends BatchContext {
  /**
   * Writes the checkpoint of these records in the transaction. Call it as the last statement, once, and
   * then commit.
   * @throws KcError TRANSACTION_REFUSED if they are stored already, LEASE_LOST if another worker has the
   * shard: let it pass, so that the transaction rolls back. StoreError
   */
  readonly checkpoint: (executor: Executor) => Promise<void>;
}

/**
 * Called for a batch of records of one shard, in their order, one batch at a time. A throw or rejection
 * rolls back. It may be called more than once for the same records, and has no effects but those of its
 * transaction. It cannot answer for a part of its records: what it answers is ignored, but `SkipCheckpoint`
 * and failed items are refused.
 */
export type TransactionHandler<Context extends BatchContext, Value = unknown> = (
  records: readonly ConsumerRecord<Value>[],
  context: Context,
) => unknown;

export interface HandlerContext {
  readonly shardId: string;
  /**
   * A signal of this record alone. It is created when it is read, so read it before the handler returns. It
   * aborts when the shard is lost, when the deadline of a stop or hand-off is over, when `handlerTimeoutMs`
   * is over, and when no heartbeat was acknowledged for as long as the lease lasts. In the last case another
   * worker may begin the same record. A handler that rejects then has not failed: its record is delivered
   * again, here once a heartbeat has reached the store, or by the other worker.
   */
  readonly signal: AbortSignal;
  /** The number of this attempt; 1 = the first. */
  readonly attempt: number;
  /** The lease's fence, by which a sink can refuse a worker that was replaced. Absent without a lease. */
  readonly fence?: Fence;
}

/** Does the answer have to be awaited? */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
