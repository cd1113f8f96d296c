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

/** A record whose handler may fail. */
export interface Attempted {
  /** As it was read, whatever a handler has written into it. */
  readonly record: ConsumerRecord;
  /** Attempts that were begun. */
  readonly attempts: number;
  /** When the first attempt failed; undefined = none has. */
  firstFailedAt: Date | undefined;
}

/** What is done about a record that failed. */
export interface FailureOutcome<Job> {
  /** It waits, for its next attempt or for the queue: it should not keep its page. */
  readonly onHeld: (job: Job) => void;
  /** Its next attempt is due. */
  readonly onRetry: (job: Job) => void;
  /** It is given up, and done. */
  readonly onGivenUp: (job: Job) => void;
}

interface Waiting {
  readonly dueAt: number;
  readonly cancel: () => void;
}

/**
 * What becomes of the records of one shard that the handler failed at: another attempt after a wait, or
 * what `onFailure` says. A stop ends all waits: what failed is not done then, and comes again.
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
    const lastTryMs = shard.drainTimeoutMs / 2;
    this.#letters =
      typeof queue === "string" ? undefined : new DeadLetterSender({ ...shard, queue, lastTryMs });
  }

  /** Records that failed and are not done. */
  get heldUp(): number {
    return this.#heldUp;
  }

  /** Does a record that is given up wait for its letter? */
  get sendsLetters(): boolean {
    return this.#letters !== undefined;
  }

  /** The attempt that is due first. @param now by the monotonic clock */
  next(now: number): RetryStatus | undefined {
    let first: (RetryStatus & { readonly dueAt: number }) | undefined;
    for (const [{ attempts }, { dueAt }] of this.#waiting) {
      if (first !== undefined && first.dueAt <= dueAt) continue;
      first = { dueAt, attempt: attempts + 1, nextAttemptInMs: Math.max(0, dueAt - now) };
    }
    return first && { attempt: first.attempt, nextAttemptInMs: first.nextAttemptInMs };
  }

  /** Is the record too old to be tried? */
  isTooOld(record: ConsumerRecord): boolean {
    return this.#ageMs(record) > this.#policy.maxRecordAgeMs;
  }

  /** It is given up instead of being tried (again). */
  tooOld(job: Job): void {
    this.giveUp(job, "age", new RecordTooOldError(this.#policy.maxRecordAgeMs));
  }

  /** It is not known in which lane it belongs, so that it cannot be handled in order. */
  unordered(job: Job, error: unknown): void {
    this.giveUp(job, "non-retriable", error);
  }

  /** An attempt failed. */
  failed(job: Job, error: unknown): void {
    const verdict = this.judge(job, error);
    if (verdict === undefined) return;
    if (verdict.kind === "give-up") return this.giveUp(job, verdict.reason, error);
    this.hold(job);
    this.wait(job, verdict.afterMs, error);
  }

  /** What follows a failed attempt; undefined = nothing: the shard stops, and it comes again. */
  judge({ record, attempts: attempt }: Job, error: unknown): Verdict | undefined {
    const { stop, random, fail } = this.#shard;
    const { onFailure } = this.#policy;
    // What a stop interrupts is not judged.
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

  /** A record that failed before is done. */
  recovered(): void {
    this.#heldUp -= 1;
  }

  /** Nothing waits any more. Resolves when no letter is under way: soon, after a stop. */
  async close(): Promise<void> {
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
    await this.#letters?.untilOver();
  }

  /** 0 where no record is too old. */
  #ageMs({ approximateArrivalMs }: ConsumerRecord): number {
    if (this.#policy.maxRecordAgeMs === Infinity) return 0;
    return this.#shard.serviceNow().getTime() - approximateArrivalMs;
  }

  /** It waits, and is not done. */
  hold(job: Job): void {
    if (job.firstFailedAt !== undefined) return;
    job.firstFailedAt = new Date(this.#shard.clock.now());
    this.#heldUp += 1;
    this.#outcome.onHeld(job);
  }

  /** Its next attempt is due after so long. */
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

  /** What `onFailure` says becomes of it. */
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
      return this.#over(job);
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
        this.#over(job);
      },
    });
  }

  #over(job: Job): void {
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
