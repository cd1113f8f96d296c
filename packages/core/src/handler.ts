import type { Fence } from "./checkpoints/store.ts";
import type { ConsumerRecord } from "./record.ts";

/**
 * A handler's answer "go on, but do not checkpoint this record". A later record's success covers
 * it, and so does the shard's end; if neither comes before a stop, it is delivered again.
 */
export const SkipCheckpoint: unique symbol = Symbol.for("@kc/SkipCheckpoint");

/**
 * Called for one record of a shard at a time, in order. Sync or async; a throw or rejection stops
 * the scan with a `HANDLER_FAILED` error that names the shard and has what was thrown as its cause.
 */
export type Handler<Value = unknown> = (
  record: ConsumerRecord<Value>,
  context: HandlerContext,
) => unknown;

/** What a batch handler sees beside its records: as for a record, with `signal` for the batch. */
export type BatchContext = HandlerContext;

/**
 * Called for a batch of records of one shard, in their order. Sync or async; a throw or rejection means
 * that none is done. It may answer with Lambda's `{ batchItemFailures: [{ itemIdentifier }] }`: see
 * `BatchAnswer`.
 */
export type BatchHandler<Value = unknown> = (
  records: readonly ConsumerRecord<Value>[],
  context: BatchContext,
) => unknown;

/** What a handler of `scanTransaction` sees beside its records, in the transaction that the store opened. */
export interface TransactionContext<Tx> extends BatchContext {
  /** What it writes with. The store commits it, or rolls it back, once the handler has returned. */
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
   * This record's own: made when it is asked for, so ask while the record is in hand. It aborts when
   * the shard is lost, when the deadline of a stop or hand-off is over, and when no heartbeat was
   * acknowledged for as long as the lease lasts. In the last case another worker may begin the same
   * record; a handler that rejects then has not failed: its record comes again, here once a heartbeat
   * has reached the store, or else there.
   */
  readonly signal: AbortSignal;
  /** Which call of the handler for this record it is; 1 = the first. */
  readonly attempt: number;
  /** Present under a lease: lets a sink refuse a worker that was replaced. */
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
