import type { StoreScope } from "../../checkpoints/store.ts";
import type {
  AlreadyDone,
  LeaseLost,
  TransactionalStore,
  TransactionalWrite,
} from "../../checkpoints/transactional-store.ts";
import { misused } from "../../checkpoints/transaction-misuse.ts";
import { SkipCheckpoint, type BatchContext, type TransactionHandler } from "../../handler.ts";
import type { ConsumerRecord } from "../../record.ts";
import type { DeadLetterQueue, TransactionalDeadLetters } from "../letters/dead-letter.ts";
import type { DeliveredShard } from "../delivery.ts";

/** The store and the scope of the transactions. */
export interface TransactionPlace {
  readonly scope: StoreScope;
  /** The store with checked answers, as the rest of core uses it. */
  readonly store: TransactionalStore<unknown, unknown>;
  /** The store object that the user passed: a dead-letter table refers to that one. */
  readonly given: unknown;
}

/** The outcome of a transaction. A failure of the store is thrown instead. */
export type TransactionOutcome =
  | { readonly outcome: "committed" }
  | AlreadyDone
  | LeaseLost
  /** The handler failed: nothing is stored. */
  | { readonly outcome: "failed"; readonly error: unknown };

/** Runs the handler once in one transaction. */
export type TransactionRunner = (
  write: TransactionalWrite,
  records: readonly ConsumerRecord[],
  context: BatchContext,
) => Promise<TransactionOutcome>;

/** The handler's context, with `transaction: "store"` or `"handler"`. */
export interface AnyTransactionContext extends BatchContext {
  readonly tx?: unknown;
  readonly checkpoint?: (executor: unknown) => Promise<void>;
}

export type AnyTransactionHandler = TransactionHandler<AnyTransactionContext>;

/** Creates the runner of one shard's transactions. */
export type TransactionRunnerFactory = (
  shard: DeliveredShard,
  place: TransactionPlace,
  handler: AnyTransactionHandler,
) => TransactionRunner;

/**
 * Checks that the handler's result does not ask for a part of the batch: a transaction is done as a whole.
 * @throws StoreError TRANSACTION_MISUSED if it does
 */
export function checkAnswer(shardId: string, answer: unknown): void {
  if (answer === SkipCheckpoint) {
    throw misused(
      shardId,
      "the handler returned SkipCheckpoint: a transaction always stores its checkpoint",
    );
  }
  if (typeof answer !== "object" || answer === null || !("batchItemFailures" in answer)) return;
  const { batchItemFailures: items } = answer;
  const isNone = items === undefined || items === null;
  if (isNone || (Array.isArray(items) && items.length === 0)) return;
  throw misused(
    shardId,
    "the handler returned failed items: a transaction is done as a whole. Throw instead",
  );
}

/** Whether letters for this queue can be written in a transaction. */
export function isTransactional(
  queue: "stop" | "skip" | DeadLetterQueue,
): queue is TransactionalDeadLetters {
  return typeof queue === "object" && "sendIn" in queue && typeof queue.sendIn === "function";
}
