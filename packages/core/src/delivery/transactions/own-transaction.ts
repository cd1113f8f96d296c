import type {
  CheckpointInResult,
  TransactionalStore,
  TransactionalWrite,
} from "../../checkpoints/transactional-store.ts";
import { misused } from "../../checkpoints/transaction-misuse.ts";
import { isAtOrBeyond } from "../../checkpoints/write-outcome.ts";
import { describeError, KcError, LeaseLostError, StoreError } from "../../errors.ts";
import type { DeliveredShard } from "../delivery.ts";
import { StoreLimit } from "./store-limit.ts";
import { checkAnswer, type TransactionPlace, type TransactionsOf } from "./transaction.ts";

/**
 * Transactions that the handler opens and commits by itself, with `context.checkpoint` as the last
 * statement. What that call met decides, not what a library makes of its error. Whether a transaction was
 * committed is read from the store afterwards.
 */
export const ownTransaction: TransactionsOf = (shard, place, handler) => {
  const { shardId } = shard;
  return async (write, records, context) => {
    const own = new OwnTransaction(shard, place, write, context.signal);
    let answer: unknown;
    try {
      answer = await handler(records, {
        ...context,
        checkpoint: (executor: unknown) => own.checkpoint(executor),
      });
    } catch (error) {
      return own.failed(error);
    }
    checkAnswer(shardId, answer);
    return own.returned();
  };
};

/** What `context.checkpoint` has met. */
type Met =
  | CheckpointInResult
  | { readonly outcome: "none" | "asked" }
  | { readonly outcome: "failed"; readonly error: unknown };

/** Why a handler that returned may not have. */
const MISUSES: Readonly<Record<Met["outcome"], string>> = {
  none: "the handler returned without having called context.checkpoint",
  asked: "the handler returned before context.checkpoint had answered: await it",
  written:
    "the handler returned without having committed the transaction that it gave to checkpoint",
  "already-done": "the handler went on after context.checkpoint had refused: let its error pass",
  "lease-lost": "the handler went on after context.checkpoint had refused: let its error pass",
  failed: "the handler went on after context.checkpoint had failed: let its error pass",
};

type Outcome =
  | { readonly outcome: "committed" }
  | Exclude<CheckpointInResult, { readonly outcome: "written" }>
  | { readonly outcome: "failed"; readonly error: unknown };

class OwnTransaction {
  readonly #shard: DeliveredShard;
  readonly #place: TransactionPlace;
  readonly #write: TransactionalWrite;
  readonly #signal: AbortSignal;
  #met: Met = { outcome: "none" };
  #misuse: StoreError | undefined;

  constructor(
    shard: DeliveredShard,
    place: TransactionPlace,
    write: TransactionalWrite,
    signal: AbortSignal,
  ) {
    this.#shard = shard;
    this.#place = place;
    this.#write = write;
    this.#signal = signal;
  }

  /** `context.checkpoint` */
  async checkpoint(executor: unknown): Promise<void> {
    const { shardId } = this.#shard;
    this.#signal.throwIfAborted();
    if (this.#met.outcome !== "none") {
      this.#misuse = misused(shardId, "context.checkpoint was called twice for one batch");
      throw this.#misuse;
    }
    this.#met = { outcome: "asked" };
    try {
      this.#met = await this.#ask((store, scope, signal) =>
        // `scanTransaction` has looked whether the store has it.
        store.checkpointIn!(executor, scope, this.#write, { signal }),
      );
    } catch (error) {
      this.#met = { outcome: "failed", error };
      throw error;
    }
    if (this.#met.outcome === "lease-lost") {
      throw new LeaseLostError(shardId, "roll back: the store refused this worker's checkpoint");
    }
    if (this.#met.outcome === "already-done") {
      const message = `${shardId}: roll back: these records, or the first of them, are stored already`;
      throw new KcError("TRANSACTION_REFUSED", message, { shardId });
    }
  }

  /** The handler has returned. @throws StoreError TRANSACTION_MISUSED if nothing is committed */
  async returned(): Promise<Outcome> {
    if (this.#misuse !== undefined) throw this.#misuse;
    const { outcome } = this.#met;
    if (outcome === "written" && (await this.#isStored())) return { outcome: "committed" };
    throw misused(this.#shard.shardId, MISUSES[outcome]);
  }

  /** The handler has failed. @throws StoreError of the store; one that is retryable, if it is to be run again */
  async failed(error: unknown): Promise<Outcome> {
    const met = this.#met;
    if (this.#misuse !== undefined) throw this.#misuse;
    if (met.outcome === "failed") throw met.error;
    if (met.outcome === "already-done" || met.outcome === "lease-lost") return met;
    // The commit may have taken effect, and its answer was lost.
    if (met.outcome === "written" && (await this.#isStored())) return { outcome: "committed" };
    if (this.#place.store.isPassing?.(error) !== true) return { outcome: "failed", error };
    const { shardId } = this.#shard;
    const message = `${shardId}: the handler's transaction is run again: ${describeError(error)}`;
    throw new StoreError("STORE_UNAVAILABLE", message, { retryable: true, cause: error, shardId });
  }

  async #isStored(): Promise<boolean> {
    const { shardId, checkpoint } = this.#write;
    const stored = await this.#ask((store, scope, signal) =>
      store.getCheckpoint(scope, shardId, { signal }),
    );
    if (stored === undefined || checkpoint.kind === "shard-end") return false;
    return isAtOrBeyond(stored, checkpoint);
  }

  #ask<Answer>(
    call: (
      store: TransactionalStore<unknown, unknown>,
      scope: TransactionPlace["scope"],
      signal: AbortSignal,
    ) => Promise<Answer>,
  ): Promise<Answer> {
    const { store, scope } = this.#place;
    const limit = new StoreLimit(this.#shard.timer, this.#signal);
    limit.resume();
    return limit.wait((signal) => call(store, scope, signal));
  }
}
