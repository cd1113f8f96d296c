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

/** Where transactions go. */
export interface TransactionPlace {
  readonly scope: StoreScope;
  /** As the rest of core sees it. */
  readonly store: TransactionalStore<unknown, unknown>;
  /** As the user has given it: a table of letters knows it by that. */
  readonly given: unknown;
}

/** What became of a transaction. What is thrown instead is the store's failure. */
export type TransactionOutcome =
  | { readonly outcome: "committed" }
  | AlreadyDone
  | LeaseLost
  /** The handler's failure: nothing is stored. */
  | { readonly outcome: "failed"; readonly error: unknown };

/** One call of the handler in one transaction. */
export type OpenTransaction = (
  write: TransactionalWrite,
  records: readonly ConsumerRecord[],
  context: BatchContext,
) => Promise<TransactionOutcome>;

/** What a handler sees, of either way. */
export interface AnyTransactionContext extends BatchContext {
  readonly tx?: unknown;
  readonly checkpoint?: (executor: unknown) => Promise<void>;
}

export type AnyTransactionHandler = TransactionHandler<AnyTransactionContext>;

/** Makes the transactions of one shard. */
export type TransactionsOf = (
  shard: DeliveredShard,
  place: TransactionPlace,
  handler: AnyTransactionHandler,
) => OpenTransaction;

/**
 * The handler's answer, for a batch that is done as a whole or not at all.
 * @throws StoreError TRANSACTION_MISUSED if it asks for something else
 */
export function checkAnswer(shardId: string, answer: unknown): void {
  if (answer === SkipCheckpoint) {
    throw misused(shardId, "the handler answered SkipCheckpoint: a transaction has its checkpoint");
  }
  if (typeof answer !== "object" || answer === null || !("batchItemFailures" in answer)) return;
  const { batchItemFailures: items } = answer;
  const isNone = items === undefined || items === null;
  if (isNone || (Array.isArray(items) && items.length === 0)) return;
  throw misused(
    shardId,
    "the handler answered with failed items: a transaction is done as a whole. Throw instead",
  );
}

/** Can letters for this queue be put in a transaction? */
export function isTransactional(
  queue: "stop" | "skip" | DeadLetterQueue,
): queue is TransactionalDeadLetters {
  return typeof queue === "object" && "sendIn" in queue && typeof queue.sendIn === "function";
}
