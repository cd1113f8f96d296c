import type { ResolvedBatches } from "../../options/resolve-delivery.ts";
import type { Batch, BatchRecord } from "./batch.ts";
import { halvesOf } from "./batch-outcome.ts";
import type { DeadLetterReason } from "../letters/dead-letter.ts";
import type { DeliveredShard } from "../delivery.ts";
import { asksForDelay } from "../failure-policy.ts";
import type { Failures } from "../failures.ts";

/** Callbacks for the parts of a failed batch. */
export interface FailedBatchOutcome {
  /** The batch may start now. */
  readonly onDue: (batch: Batch) => void;
  /** The record waits, perhaps for long: it should not keep its page in memory. */
  readonly onWait: (record: BatchRecord) => void;
}

/**
 * Handles a batch that failed, as a whole or in part: bisects it, retries it after a delay, or gives up its
 * failed records while later records of their keys wait.
 */
export class FailedBatches {
  readonly #shard: DeliveredShard;
  readonly #policy: ResolvedBatches;
  readonly #failures: Failures<BatchRecord>;
  readonly #outcome: FailedBatchOutcome;

  constructor(
    shard: DeliveredShard,
    policy: ResolvedBatches,
    failures: Failures<BatchRecord>,
    outcome: FailedBatchOutcome,
  ) {
    this.#shard = shard;
    this.#policy = policy;
    this.#failures = failures;
    this.#outcome = outcome;
  }

  /** The whole batch failed. */
  failed(batch: Batch, error: unknown): void {
    const { bisect, retry } = this.#policy;
    const { records, attempts } = batch;
    const isDelayRequested = asksForDelay(error) && attempts < retry.maxAttempts;
    if (bisect && records.length > 1 && !isDelayRequested) return this.#bisect(batch);
    this.retry(batch, [...records.keys()], [], error);
  }

  /** Retries the failed records together with those behind them, or gives up the failed ones. */
  retry(batch: Batch, failed: readonly number[], behind: readonly number[], error: unknown): void {
    if (this.#shard.abandon.aborted) return;
    const lead = batch.records[failed[0]!]!;
    const verdict = this.#failures.judge(lead, error);
    if (verdict === undefined) return;
    if (verdict.kind === "retry") {
      const places = [...failed, ...behind].toSorted((a, b) => a - b);
      return this.#retryAfter(batch.part(places, batch.attempts), verdict.afterMs, error);
    }
    if (verdict.reason === "age") return this.#giveUpOld(batch, failed, behind, error);
    if (behind.length > 0) this.holdBack(batch, behind, 0, false);
    this.#giveUpAll(batch, failed, verdict.reason, error);
  }

  /** Splits off records that wait until the rest of the batch is finished. */
  holdBack(batch: Batch, places: readonly number[], attempts: number, waitsForAll: boolean): Batch {
    const behind = batch.partBehind(places, attempts, waitsForAll);
    for (const record of behind.records) this.#outcome.onWait(record);
    return behind;
  }

  /** The delay before the next attempt has ended. The batch starts unless it waits for another one. */
  again(batch: Batch): void {
    batch.isPaused = false;
    if (!batch.waits) this.#outcome.onDue(batch);
  }

  /** Bisects a batch to find the failing record. This does not count as an attempt. */
  #bisect(batch: Batch): void {
    const { records, attempts } = batch;
    const { halves, inOrder } = halvesOf(records.length, (place) => records[place]!.key);
    const [one, other] = halves;
    const second = batch.part(other!, attempts - 1);
    const first = batch.part(one!, attempts - 1);
    if (inOrder) first.precede(second);
    this.#outcome.onDue(first);
    if (!inOrder) this.#outcome.onDue(second);
  }

  /** The first failed record is too old for another attempt. The others are judged by their own age. */
  #giveUpOld(
    batch: Batch,
    failed: readonly number[],
    behind: readonly number[],
    error: unknown,
  ): void {
    const old: number[] = [];
    const rest = [...behind];
    let afterMs: number | undefined;
    for (const place of failed) {
      const verdict =
        place === failed[0] ? undefined : this.#failures.judge(batch.records[place]!, error);
      if (verdict?.kind !== "retry") old.push(place);
      else {
        rest.push(place);
        afterMs ??= verdict.afterMs;
      }
    }
    if (rest.length > 0) {
      const places = rest.toSorted((a, b) => a - b);
      // Records that only wait behind a failed one have used no attempt.
      const attempts = afterMs === undefined ? 0 : batch.attempts;
      const again = this.holdBack(batch, places, attempts, false);
      if (afterMs !== undefined) this.#retryAfter(again, afterMs, error);
    }
    this.#giveUpAll(batch, old, "age", error);
  }

  #retryAfter(again: Batch, afterMs: number, error: unknown): void {
    again.isPaused = true;
    for (const record of again.records) this.#failures.hold(record);
    this.#failures.wait(again.records[0]!, afterMs, error);
  }

  #giveUpAll(
    batch: Batch,
    places: readonly number[],
    reason: DeadLetterReason,
    error: unknown,
  ): void {
    for (const place of places) {
      if (this.#shard.stop.aborted) return;
      this.#failures.giveUp(batch.records[place]!, reason, error);
    }
  }
}
