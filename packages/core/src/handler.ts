import type { Fence } from "./checkpoints/store.ts";
import type { ConsumerRecord } from "./record.ts";

/**
 * Returned by a handler to continue without checkpointing the record. The next record that succeeds, or the end of
 * the shard, checkpoints it too. If a stop comes first, the record is delivered again.
 */
export const SkipCheckpoint: unique symbol = Symbol.for("@kc/SkipCheckpoint");

/**
 * Called for one record of a shard at a time, in order; with `concurrency`, for several at a time. May be sync or
 * async. If it throws, `retry` and `onFailure` decide what happens: by default the scan rejects with a
 * `HANDLER_FAILED` error that names the shard and has the thrown error as its `cause`.
 */
export type Handler<Value = unknown> = (
  record: ConsumerRecord<Value>,
  context: HandlerContext,
) => unknown;

/** The context of a batch handler: like a record's, with one `signal` for the batch. */
export type BatchContext = HandlerContext;

/**
 * Called with a batch of records of one shard, in order. May be sync or async. If it throws, all records of the
 * batch have failed. To report a partial failure it returns Lambda's
 * `{ batchItemFailures: [{ itemIdentifier }] }`: see `BatchAnswer`.
 */
export type BatchHandler<Value = unknown> = (
  records: readonly ConsumerRecord<Value>[],
  context: BatchContext,
) => unknown;

/** The context of a `scanTransaction` handler if the store opens the transaction. */
export interface TransactionContext<Tx> extends BatchContext {
  /** The transaction to write with. The store commits or rolls back when the handler has returned. */
  readonly tx: Tx;
}

/** The context of a `scanTransaction` handler that opens the transaction itself: `transaction: "handler"`. */
export interface OwnTransactionContext<Executor> extends BatchContext {
  /**
   * Writes the checkpoint of these records in the transaction. Call it once, as the last statement, then
   * commit. Do not catch its errors, so that the transaction rolls back.
   * @throws KcError TRANSACTION_REFUSED if the records are stored already; LEASE_LOST if another worker owns the
   * shard
   * @throws StoreError
   */
  readonly checkpoint: (executor: Executor) => Promise<void>;
}

/**
 * Called with a batch of records of one shard, in order, one batch at a time. If it throws, the transaction rolls
 * back. It may be called again for the same records, so it must have no effects outside its transaction. There are
 * no partial failures: `SkipCheckpoint` and `batchItemFailures` are refused, any other return value is ignored.
 */
export type TransactionHandler<Context extends BatchContext, Value = unknown> = (
  records: readonly ConsumerRecord<Value>[],
  context: Context,
) => unknown;

export interface HandlerContext {
  readonly shardId: string;
  /**
   * The abort signal of this record (or batch). It is created on first access, so read it before the handler
   * returns. It aborts when the lease of the shard is lost, when the deadline of a stop or hand-off has passed, after
   * `handlerTimeoutMs`, and when no heartbeat was acknowledged for a lease duration. In the last case another worker
   * may start the same record. If the handler then rejects, it has not failed: the record is delivered again, here
   * once a heartbeat has reached the store, or by the other worker.
   */
  readonly signal: AbortSignal;
  /** The number of this attempt, from 1. */
  readonly attempt: number;
  /** The fence of the lease: a sink can use it to refuse writes of a replaced worker. Absent without a lease. */
  readonly fence?: Fence;
}

/** True if the value has to be awaited. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
