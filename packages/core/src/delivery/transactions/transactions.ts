import { backoffMs } from "../../backoff.ts";
import { fixedTimeout } from "../../checkpoints/adaptive-timeout.ts";
import {
  checkpointAt,
  positionOf,
  type Checkpoint,
  type Position,
} from "../../checkpoints/position.ts";
import { StoreCalls } from "../../checkpoints/store-calls.ts";
import type { TransactionalWrite } from "../../checkpoints/transactional-store.ts";
import { isAtOrBeyond } from "../../checkpoints/write-outcome.ts";
import { KcError, LeaseLostError, StoreError } from "../../errors.ts";
import type { BatchContext } from "../../handler.ts";
import type { ResolvedTransactions } from "../../options/resolve-delivery.ts";
import type { ConsumerRecord } from "../../record.ts";
import { codeOfError } from "../../without-message.ts";
import { RunAgain } from "../batches/batch.ts";
import { batches } from "../batches/batches.ts";
import type {
  DeadLetter,
  DeadLetterQueue,
  LetterSource,
  TransactionalDeadLetters,
} from "../letters/dead-letter.ts";
import type { DeliveredShard, OpenDelivery } from "../delivery.ts";
import { handlerTransaction } from "./handler-transaction.ts";
import { storeTransaction } from "./store-transaction.ts";
import { TransactionCall } from "./transaction-call.ts";
import {
  isTransactional,
  type AnyTransactionHandler,
  type TransactionOutcome,
  type TransactionPlace,
} from "./transaction.ts";

/** The backoff between attempts. */
const BACKOFF = { baseMs: 100, maxMs: 5000 };

const OUTCOMES = {
  committed: "committed",
  "already-done": "done",
  "lease-lost": "lost",
  failed: "failed",
} as const;

/** Delivers the records of a shard in batches, each in one transaction with its checkpoint. */
export function transactions(
  handler: AnyTransactionHandler,
  policy: ResolvedTransactions,
  place: TransactionPlace,
  source: LetterSource,
): OpenDelivery {
  const { onFailure } = policy;
  const own = isTransactional(onFailure) && onFailure.store === place.given ? onFailure : undefined;
  return (shard) => {
    const all = new Transactions(shard, place, policy, handler);
    return batches(
      (records, context) => all.handle(records, context),
      {
        ...policy,
        onFailure: typeof onFailure === "string" ? onFailure : all.letters(onFailure, own),
        // `TransactionCall` applies it to the handler alone, without the store's time.
        handlerTimeoutMs: undefined,
      },
      source,
    )(shard);
  };
}

function isRegressed(error: unknown): error is KcError {
  return KcError.is(error) && error.code === "STORE_REGRESSED";
}

/** The letters whose records the stored checkpoint does not cover. */
function notCovered(stored: Checkpoint, letters: readonly DeadLetter[]): readonly DeadLetter[] {
  return letters.filter((letter) => !isAtOrBeyond(stored, letter));
}

/** Runs the transactions of one shard, one at a time, and applies their outcomes to its progress. */
class Transactions {
  readonly #shard: DeliveredShard;
  readonly #place: TransactionPlace;
  readonly #policy: ResolvedTransactions;
  readonly #handler: AnyTransactionHandler;
  readonly #calls: StoreCalls;
  /** Consecutive attempts that failed because of the store. */
  #failures = 0;

  constructor(
    shard: DeliveredShard,
    place: TransactionPlace,
    policy: ResolvedTransactions,
    handler: AnyTransactionHandler,
  ) {
    this.#shard = shard;
    this.#place = place;
    this.#policy = policy;
    this.#handler = handler;
    this.#calls = new StoreCalls({ ...shard, store: place.store });
  }

  /** One attempt to store a batch. @throws what the handler throws; the reason of `stop` or of the signal */
  async handle(
    records: readonly ConsumerRecord[],
    context: BatchContext,
  ): Promise<RunAgain | undefined> {
    const { transaction, handlerTimeoutMs } = this.#policy;
    // Computed before the handler can write into its records.
    const write = this.#write(records);
    const { acknowledged } = this.#shard.progress;
    if (acknowledged !== undefined && isAtOrBeyond(acknowledged, write.from)) {
      return new RunAgain(acknowledged);
    }
    const call = new TransactionCall(this.#shard, context, handlerTimeoutMs);
    const open = transaction === "store" ? storeTransaction : handlerTransaction;
    const run = open(this.#shard, this.#place, (given, own) => {
      const answer = this.#handler(given, own);
      call.watch(answer);
      return answer;
    });
    let outcome: TransactionOutcome;
    try {
      outcome = await this.#once(call.signal, () => run(write, records, call.context));
    } catch (error) {
      if (call.timeout === undefined) return await this.#storeFailed(error, call.signal);
      outcome = { outcome: "failed", error: call.timeout };
    } finally {
      await call.end();
    }
    if (outcome.outcome === "failed") return this.#failed(write, outcome.error, context.signal);
    return this.#settle(write, outcome);
  }

  /**
   * A queue that sends only letters of records that are not stored yet.
   * @param own the same queue, if its letters are written in one transaction with the checkpoint of their records
   */
  letters(queue: DeadLetterQueue, own: TransactionalDeadLetters | undefined): DeadLetterQueue {
    return {
      send: async (letters, { signal }) => {
        if (own !== undefined) return this.#writeLetters(own, letters, signal);
        const stored = await this.#stored(signal);
        const left = stored === undefined ? letters : notCovered(stored, letters);
        if (left.length > 0) await queue.send(left, { signal });
      },
      close: async () => {},
    };
  }

  /** Writes letters with their checkpoint, except those whose records another process has stored meanwhile. */
  async #writeLetters(
    table: TransactionalDeadLetters,
    letters: readonly DeadLetter[],
    signal: AbortSignal,
  ): Promise<void> {
    for (let left = letters; left.length > 0;) {
      const written = left;
      const write = this.#write(written);
      const outcome = await this.#once(signal, () =>
        this.#transactLetters(table, written, write, signal),
      );
      if (outcome.outcome === "failed") throw outcome.error;
      const stored = this.#settle(write, outcome)?.stored;
      left = stored === undefined ? [] : notCovered(stored, written);
    }
  }

  /** Failures are retried by the sender, except a store that has lost commits: that ends the shard. */
  async #transactLetters(
    table: TransactionalDeadLetters,
    letters: readonly DeadLetter[],
    write: TransactionalWrite,
    signal: AbortSignal,
  ): Promise<TransactionOutcome> {
    const { store, scope } = this.#place;
    try {
      return await store.transact(scope, write, (tx) => table.sendIn(tx, letters), { signal });
    } catch (error) {
      if (isRegressed(error)) this.#fail(error);
      throw error;
    }
  }

  /** The checkpoint write for these records. */
  #write(records: readonly (ConsumerRecord | DeadLetter)[]): TransactionalWrite {
    const { shardId, fence, progress } = this.#shard;
    const checkpoint = this.#checkpoint(records, positionOf(records.at(-1)!));
    const { acknowledged } = progress;
    const after = acknowledged?.kind === "position" ? positionOf(acknowledged) : undefined;
    const write = { shardId, from: positionOf(records[0]!), after, checkpoint };
    return fence === undefined ? write : { ...write, fence };
  }

  /** The checkpoint after these records. It covers the last stream record only after its last user record. */
  #checkpoint(records: readonly (ConsumerRecord | DeadLetter)[], last: Position): Checkpoint {
    const { progress } = this.#shard;
    const { sequenceNumber } = last;
    if (progress.endsStreamRecord(last)) {
      return checkpointAt({ sequenceNumber }, progress.aheadOf({ sequenceNumber }));
    }
    const before = records.findLast(({ sequenceNumber: n }) => n !== sequenceNumber);
    const wholeSequenceNumber = before?.sequenceNumber ?? progress.wholeSequenceNumber;
    return checkpointAt({ ...last, wholeSequenceNumber }, progress.aheadOf(last));
  }

  /**
   * The handler has failed, perhaps because the batch is stored already: by a commit whose reply was lost, or
   * by another process. @throws the handler's error if it is not; the reason of `stop` or of the signal
   */
  async #failed(
    write: TransactionalWrite,
    error: unknown,
    signal: AbortSignal,
  ): Promise<RunAgain | undefined> {
    let stored: Checkpoint | undefined;
    try {
      stored = await this.#stored(signal);
    } catch (failure) {
      return await this.#storeFailed(failure, signal);
    }
    if (stored === undefined || !isAtOrBeyond(stored, write.from)) throw error;
    return this.#settle(write, { outcome: "already-done", stored });
  }

  #stored(signal: AbortSignal): Promise<Checkpoint | undefined> {
    const { store, scope } = this.#place;
    const { shardId } = this.#shard;
    return this.#calls.once("getCheckpoint", signal, (options) =>
      store.getCheckpoint(scope, shardId, options),
    );
  }

  /** Applies the outcome of a transaction. Returns undefined if the work is stored. @throws the reason of `stop` */
  #settle(
    { from, checkpoint }: TransactionalWrite,
    result: Exclude<TransactionOutcome, { readonly outcome: "failed" }>,
  ): RunAgain | undefined {
    const { shardId, progress, stop } = this.#shard;
    this.#failures = 0;
    if (result.outcome === "committed") {
      progress.storeHas(checkpoint);
      return undefined;
    }
    if (result.outcome === "already-done") {
      if (!isAtOrBeyond(result.stored, from)) {
        throw new StoreError(
          "STORE_FAILED",
          `${shardId}: 'already-done' with a checkpoint before the batch`,
        );
      }
      progress.storeHas(result.stored);
      return new RunAgain(result.stored);
    }
    progress.lose(new LeaseLostError(shardId, "the store refused this worker's transaction"));
    throw stop.reason;
  }

  /** The store failed: retries after a backoff, or ends the shard. @throws the reason of `stop` or of the signal */
  async #storeFailed(error: unknown, signal: AbortSignal): Promise<RunAgain> {
    const { stop, random, timer, telemetry } = this.#shard;
    if (signal.aborted) throw signal.reason;
    if (!KcError.is(error) || !error.retryable) {
      this.#calls.settle();
      this.#fail(error);
      throw stop.aborted ? stop.reason : error;
    }
    this.#failures += 1;
    telemetry.add("retries", 1, { operation: "transact", error: error.code });
    await timer.sleep(backoffMs(this.#failures, BACKOFF, random), stop);
    if (stop.aborted) this.#calls.settle();
    stop.throwIfAborted();
    return new RunAgain();
  }

  /**
   * Ends the scan. If the store has lost commits of a leased shard, only the shard is lost: its next reader starts from
   * what is stored, as a new scan would.
   */
  #fail(error: unknown): void {
    const { shardId, fence, progress, telemetry, fail } = this.#shard;
    if (fence === undefined || !isRegressed(error)) return fail(error);
    telemetry.error("the store has lost commits: the shard is released", { shardId, error });
    telemetry.add("errors", 1, { error: error.code });
    progress.lose(new LeaseLostError(shardId, "the store has lost commits of this worker"));
  }

  /** One attempt, without a timeout of its own: its parts have timeouts, and the handler may take any time. */
  #once(signal: AbortSignal, run: () => Promise<TransactionOutcome>): Promise<TransactionOutcome> {
    const timeout = fixedTimeout(this.#shard.clock, Infinity);
    return this.#calls.once("transact", signal, () => this.#measured(run), timeout);
  }

  async #measured(run: () => Promise<TransactionOutcome>): Promise<TransactionOutcome> {
    const { shardId, telemetry, clock } = this.#shard;
    const since = clock.monotonic();
    let outcome: (typeof OUTCOMES)[keyof typeof OUTCOMES] = "failed";
    let failed: { readonly error: string } | undefined;
    try {
      const result = await run();
      outcome = OUTCOMES[result.outcome];
      if (result.outcome === "failed") failed = { error: telemetry.errorNames.of(result.error) };
      return result;
    } catch (error) {
      failed = { error: codeOfError(error) ?? telemetry.errorNames.of(error) };
      throw error;
    } finally {
      telemetry.add("transactions", 1, { shardId, outcome });
      telemetry.record("transaction_duration", clock.monotonic() - since, failed ?? {});
    }
  }
}
