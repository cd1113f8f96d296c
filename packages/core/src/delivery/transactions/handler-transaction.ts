import type {
  CheckpointInResult,
  TransactionalStore,
  TransactionalWrite,
} from "../../checkpoints/transactional-store.ts";
import { misused } from "../../checkpoints/transaction-misuse.ts";
import { isAtOrBeyond } from "../../checkpoints/write-outcome.ts";
import { describeError, KcError, LeaseLostError, StoreError } from "../../errors.ts";
import type { DeliveredShard } from "../delivery.ts";
import { StoreTimeout } from "./store-timeout.ts";
import {
  checkAnswer,
  type TransactionPlace,
  type TransactionRunnerFactory,
} from "./transaction.ts";

/**
 * Runs a handler that opens and commits its own transaction, with `context.checkpoint` as the last statement.
 * The outcome of that call decides, not the error that a library may wrap it in. Whether the transaction was
 * committed is read from the store afterwards.
 */
export const handlerTransaction: TransactionRunnerFactory = (shard, place, handler) => {
  const { shardId } = shard;
  return async (write, records, context) => {
    const transaction = new HandlerTransaction(shard, place, write, context.signal);
    let answer: unknown;
    try {
      answer = await handler(records, {
        ...context,
        checkpoint: (executor: unknown) => transaction.checkpoint(executor),
      });
    } catch (error) {
      return transaction.failed(error);
    }
    checkAnswer(shardId, answer);
    return transaction.returned();
  };
};

/** The state of the batch's one call of `context.checkpoint`. */
type CheckpointState =
  | CheckpointInResult
  | { readonly outcome: "none" | "pending" }
  | { readonly outcome: "failed"; readonly error: unknown };

/** Why it is a misuse that the handler returned in this state. */
const MISUSES: Readonly<Record<CheckpointState["outcome"], string>> = {
  none: "the handler returned without having called context.checkpoint",
  pending: "the handler returned before context.checkpoint had resolved: await it",
  written:
    "the handler returned without having committed the transaction that it gave to checkpoint",
  "already-done": "the handler continued after context.checkpoint had refused: let its error pass",
  "lease-lost": "the handler continued after context.checkpoint had refused: let its error pass",
  failed: "the handler continued after context.checkpoint had failed: let its error pass",
};

type Outcome =
  | { readonly outcome: "committed" }
  | Exclude<CheckpointInResult, { readonly outcome: "written" }>
  | { readonly outcome: "failed"; readonly error: unknown };

class HandlerTransaction {
  readonly #shard: DeliveredShard;
  readonly #place: TransactionPlace;
  readonly #write: TransactionalWrite;
  readonly #signal: AbortSignal;
  #state: CheckpointState = { outcome: "none" };
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
    if (this.#state.outcome !== "none") {
      this.#misuse = misused(shardId, "context.checkpoint was called twice for one batch");
      throw this.#misuse;
    }
    this.#state = { outcome: "pending" };
    try {
      this.#state = await this.#call((store, scope, signal) =>
        // `scanTransaction` has checked that the store has this method.
        store.checkpointIn!(executor, scope, this.#write, { signal }),
      );
    } catch (error) {
      this.#state = { outcome: "failed", error };
      throw error;
    }
    if (this.#state.outcome === "lease-lost") {
      throw new LeaseLostError(shardId, "roll back: the store refused this worker's checkpoint");
    }
    if (this.#state.outcome === "already-done") {
      const message = `${shardId}: roll back: these records, or the first of them, are stored already`;
      throw new KcError("TRANSACTION_REFUSED", message, { shardId });
    }
  }

  /** The outcome after the handler has returned. @throws StoreError TRANSACTION_MISUSED if nothing is committed */
  async returned(): Promise<Outcome> {
    if (this.#misuse !== undefined) throw this.#misuse;
    const { outcome } = this.#state;
    if (outcome === "written" && (await this.#isStored())) return { outcome: "committed" };
    throw misused(this.#shard.shardId, MISUSES[outcome]);
  }

  /** The outcome after the handler has failed. @throws StoreError; a retryable one if it must be run again */
  async failed(error: unknown): Promise<Outcome> {
    const state = this.#state;
    if (this.#misuse !== undefined) throw this.#misuse;
    if (state.outcome === "failed") throw state.error;
    if (state.outcome === "already-done" || state.outcome === "lease-lost") return state;
    // The commit may have taken effect although its reply was lost.
    if (state.outcome === "written" && (await this.#isStored())) return { outcome: "committed" };
    if (this.#place.store.isTransient?.(error) !== true) return { outcome: "failed", error };
    const { shardId } = this.#shard;
    const message = `${shardId}: the handler's transaction is run again: ${describeError(error)}`;
    throw new StoreError("STORE_UNAVAILABLE", message, { retryable: true, cause: error, shardId });
  }

  async #isStored(): Promise<boolean> {
    const { shardId, checkpoint } = this.#write;
    const stored = await this.#call((store, scope, signal) =>
      store.getCheckpoint(scope, shardId, { signal }),
    );
    if (stored === undefined || checkpoint.kind === "shard-end") return false;
    return isAtOrBeyond(stored, checkpoint);
  }

  #call<Answer>(
    call: (
      store: TransactionalStore<unknown, unknown>,
      scope: TransactionPlace["scope"],
      signal: AbortSignal,
    ) => Promise<Answer>,
  ): Promise<Answer> {
    const { store, scope } = this.#place;
    const timeout = new StoreTimeout(this.#shard.timer, this.#signal);
    timeout.resume();
    return timeout.wait((signal) => call(store, scope, signal));
  }
}
