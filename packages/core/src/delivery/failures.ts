import { positionOf } from "../checkpoints/position.ts";
import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
import type { ConsumerRecord } from "../record.ts";
import type { RetryStatus } from "../telemetry/status.ts";
import { typeOfError, withoutMessage } from "../without-message.ts";
import { deadLetterOf, type DeadLetterReason, type LetterSource } from "./letters/dead-letter.ts";
import { DeadLetterSender } from "./letters/dead-letter-sender.ts";
import type { DeliveredShard } from "./delivery.ts";
import { verdictOf, type Verdict } from "./failure-policy.ts";
import { handlerFailed } from "./handler-call.ts";

/** A record with its failed attempts. */
export interface Attempted {
  /** As it was read, whatever a handler has written into it. */
  readonly record: ConsumerRecord;
  /** The number of attempts that were started. */
  readonly attempts: number;
  /** When the first attempt failed; undefined if none has. */
  firstFailedAt: Date | undefined;
}

/** Callbacks for records that failed. */
export interface FailureOutcome<Job> {
  /** The record waits for its next attempt or for the queue: it should not keep its page in memory. */
  readonly onHeld: (job: Job) => void;
  /** The record's next attempt is due. */
  readonly onRetry: (job: Job) => void;
  /** The record is given up, and its letter, if any, was acknowledged: it is done. */
  readonly onGivenUp: (job: Job) => void;
}

interface Waiting {
  readonly dueAt: number;
  readonly cancel: () => void;
}

/**
 * Handles the failed records of one shard: schedules another attempt, or does what `onFailure` says. A stop
 * ends all waits: the records that failed are not done then, and are delivered again.
 */
export class Failures<Job extends Attempted> {
  readonly #shard: DeliveredShard;
  readonly #policy: ResolvedDelivery;
  readonly #source: LetterSource;
  readonly #outcome: FailureOutcome<Job>;
  readonly #letters: DeadLetterSender | undefined;
  readonly #waiting = new Map<Job, Waiting>();
  #heldUp = 0;

  constructor(
    shard: DeliveredShard,
    policy: ResolvedDelivery,
    source: LetterSource,
    outcome: FailureOutcome<Job>,
  ) {
    this.#shard = shard;
    this.#policy = policy;
    this.#source = source;
    this.#outcome = outcome;
    const { onFailure: queue } = policy;
    const lastAttemptMs = shard.drainTimeoutMs / 2;
    this.#letters =
      typeof queue === "string"
        ? undefined
        : new DeadLetterSender({ ...shard, queue, lastAttemptMs });
  }

  /** The number of records that failed and are not done. */
  get heldUp(): number {
    return this.#heldUp;
  }

  /** True if a record that is given up is done only when the queue has acknowledged its letter. */
  get sendsLetters(): boolean {
    return this.#letters !== undefined;
  }

  /** The next attempt that is due. @param now by the monotonic clock */
  next(now: number): RetryStatus | undefined {
    let first: (RetryStatus & { readonly dueAt: number }) | undefined;
    for (const [{ attempts }, { dueAt }] of this.#waiting) {
      if (first !== undefined && first.dueAt <= dueAt) continue;
      first = { dueAt, attempt: attempts + 1, nextAttemptInMs: Math.max(0, dueAt - now) };
    }
    return first && { attempt: first.attempt, nextAttemptInMs: first.nextAttemptInMs };
  }

  /** Whether the record is older than `maxRecordAgeMs`. */
  isTooOld(record: ConsumerRecord): boolean {
    return this.#ageMs(record) > this.#policy.maxRecordAgeMs;
  }

  /** Gives up a record that is older than `maxRecordAgeMs`. */
  tooOld(job: Job): void {
    this.giveUp(job, "age", new RecordTooOldError(this.#policy.maxRecordAgeMs));
  }

  /** Gives up a record whose `key` threw: without its lane it cannot be handled in order. */
  unordered(job: Job, error: unknown): void {
    this.giveUp(job, "non-retriable", error);
  }

  /** Retries or gives up a record whose attempt failed. */
  failed(job: Job, error: unknown): void {
    const verdict = this.judge(job, error);
    if (verdict === undefined) return;
    if (verdict.kind === "give-up") return this.giveUp(job, verdict.reason, error);
    this.hold(job);
    this.wait(job, verdict.afterMs, error);
  }

  /** What follows a failed attempt; undefined if the shard stops, since the record is then delivered again. */
  judge({ record, attempts: attempt }: Job, error: unknown): Verdict | undefined {
    const { stop, random, fail } = this.#shard;
    const { onFailure } = this.#policy;
    // The handler may have failed because of the stop.
    if (stop.aborted && onFailure !== "stop") return undefined;
    const ageMs = this.#ageMs(record);
    try {
      const verdict = verdictOf({ attempt, error, record, ageMs }, this.#policy, random);
      return stop.aborted && verdict.kind === "retry" ? undefined : verdict;
    } catch (failure) {
      fail(failure);
      return undefined;
    }
  }

  /** A record that had failed is done. */
  recovered(): void {
    this.#heldUp -= 1;
  }

  /** Ends all waits. Resolves when no call of the dead-letter queue is running: soon, after a stop. */
  async close(): Promise<void> {
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
    await this.#letters?.untilIdle();
  }

  /** The record's age; 0 if there is no limit. */
  #ageMs({ approximateArrivalMs }: ConsumerRecord): number {
    if (this.#policy.maxRecordAgeMs === Infinity) return 0;
    return this.#shard.serviceNow().getTime() - approximateArrivalMs;
  }

  /** Marks a record as failed and waiting. */
  hold(job: Job): void {
    if (job.firstFailedAt !== undefined) return;
    job.firstFailedAt = new Date(this.#shard.clock.now());
    this.#heldUp += 1;
    this.#outcome.onHeld(job);
  }

  /** Schedules the next attempt of a record after `afterMs` milliseconds. */
  wait(job: Job, afterMs: number, error: unknown): void {
    const { shardId, clock, timer, telemetry } = this.#shard;
    const { attempts, record } = job;
    telemetry.debug("a record failed; it is tried again", {
      shardId,
      ...positionOf(record),
      attempts,
      afterMs: Math.round(afterMs),
      error: withoutMessage(error),
    });
    const cancel = timer.after(afterMs, () => {
      this.#waiting.delete(job);
      this.#outcome.onRetry(job);
    });
    this.#waiting.set(job, { dueAt: clock.monotonic() + afterMs, cancel });
  }

  /** Gives up a record as `onFailure` says. */
  giveUp(job: Job, reason: DeadLetterReason, error: unknown): void {
    const { shardId, telemetry, fail, retentionMs } = this.#shard;
    const at = positionOf(job.record);
    if (this.#policy.onFailure === "stop") {
      return fail(handlerFailed(shardId, at, error));
    }
    this.hold(job);
    const { record, attempts, firstFailedAt } = job;
    telemetry.add("records_given_up", 1, { shardId, reason });
    const fields = { shardId, ...at, attempts, reason, error: withoutMessage(error) };
    if (this.#letters === undefined) {
      telemetry.warn(`a record is skipped: ${typeOfError(error)}`, fields);
      return this.#finish(job);
    }
    telemetry.warn(`a record goes to the dead-letter queue: ${typeOfError(error)}`, fields);
    this.#letters.send({
      bytes: record.data.byteLength,
      letter: () =>
        deadLetterOf({ ...this.#source, retentionMs: retentionMs() }, record, {
          attempts,
          firstFailedAt: firstFailedAt!,
          reason,
          error,
        }),
      onSent: () => {
        telemetry.add("dead_letters", 1, { shardId });
        this.#finish(job);
      },
    });
  }

  #finish(job: Job): void {
    this.#heldUp -= 1;
    this.#outcome.onGivenUp(job);
  }
}

class RecordTooOldError extends Error {
  constructor(maxRecordAgeMs: number) {
    super(`the record arrived more than ${maxRecordAgeMs} ms ago`);
    this.name = "RecordTooOldError";
  }
}
