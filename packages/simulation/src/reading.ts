import { comparePositions, type Checkpoint, type DeadLetterReason } from "@kc/core";
import type { Call, FailedOutcome, Outcome } from "./call.ts";
import { MAX_ASKED_MS, type DeliveryPlan } from "./delivery-plan.ts";
import type { PutRecord } from "./puts.ts";

/** The state of a record. */
interface Seen {
  /** The last call with this record; `undefined` if it was given up before its first. */
  call: Call | undefined;
  state: "running" | "given-up" | Outcome["kind"];
  failure: FailedOutcome | undefined;
  /** When the state was reached. */
  at: number;
}

/**
 * The reading of a shard during one grant of its lease. It begins after the checkpoint that the
 * claim returned, and is notified of each call of the handler.
 */
export class Reading {
  readonly #plan: DeliveryPlan;
  readonly #checkpoint: Checkpoint | undefined;
  /** The records that were flushed as done when the lease was granted. */
  readonly #flushed: ReadonlySet<PutRecord>;
  readonly #isFinished: (record: PutRecord) => boolean;
  readonly #seen = new Map<PutRecord, Seen>();
  readonly #calls = new Set<Call>();
  #newest: PutRecord | undefined;

  /** @param isFinished whether any worker has finished the record */
  constructor(
    plan: DeliveryPlan,
    checkpoint: Checkpoint | undefined,
    flushed: ReadonlySet<PutRecord>,
    isFinished: (record: PutRecord) => boolean,
  ) {
    this.#plan = plan;
    this.#checkpoint = checkpoint;
    this.#flushed = flushed;
    this.#isFinished = isFinished;
  }

  get isUntouched(): boolean {
    return this.#seen.size === 0;
  }

  /** Whether the handler has this record in its first delivery to any worker. */
  has(record: PutRecord): boolean {
    return this.#seen.has(record);
  }

  /**
   * Called when the handler is called. Returns the violation, if any; then the call is not
   * recorded.
   */
  start(call: Call, now: number): string | undefined {
    for (const other of this.#calls) {
      if (other.isOverdue) this.end(other, () => other.failed(), now);
    }
    const { concurrency } = this.#plan;
    if (this.#calls.size >= concurrency) return `is call ${this.#calls.size + 1} at once`;
    const inCall = new Set<PutRecord>();
    if (this.#isTooLarge(call)) return "is a batch too large";
    for (const record of call.records) {
      const wrong = this.#wrongAt(call, record, inCall);
      if (wrong !== undefined) return `${wrong} (${record.id})`;
      inCall.add(record);
    }
    this.#calls.add(call);
    for (const record of call.records) {
      this.#seen.set(record, { call, state: "running", failure: undefined, at: now });
      if (this.#newest === undefined || comparePositions(this.#newest, record) < 0) {
        this.#newest = record;
      }
    }
    return undefined;
  }

  /** Called when a call has ended, or the delivery no longer waits for it. */
  end(call: Call, outcomeOf: (record: PutRecord) => Outcome, now: number): void {
    this.#calls.delete(call);
    for (const record of call.records) {
      const seen = this.#seen.get(record);
      if (seen?.call !== call || seen.state !== "running") continue;
      const outcome = outcomeOf(record);
      seen.state = outcome.kind;
      seen.failure = outcome.kind === "failed" ? outcome : undefined;
      seen.at = now;
    }
  }

  /**
   * Called when a record is given up. Returns the violation, if any. @param isDone true if it is
   * skipped
   */
  giveUp(
    record: PutRecord,
    reason: DeadLetterReason,
    ageMs: number,
    isDone: boolean,
    now: number,
  ): string | undefined {
    const seen = this.#seen.get(record);
    const { call } = seen ?? {};
    if (call?.isOverdue === true) this.end(call, () => call.failed(), now);
    const { state } = seen ?? {};
    const isDue =
      reason === "age"
        ? this.#isTooOld(seen, ageMs)
        : reason === "undecodable"
          ? record.isUndecodable === true && seen === undefined
          : seen !== undefined && this.#isSpent(seen, reason);
    if (!isDue) return `is given up (${reason}) although it is ${state ?? "not begun"}`;
    this.#seen.set(record, {
      call,
      state: isDone ? "done" : "given-up",
      failure: undefined,
      at: now,
    });
    return undefined;
  }

  /** Whether it was given up and waits for the acknowledgement of its letter. */
  isGivenUp(record: PutRecord): boolean {
    return this.#seen.get(record)?.state === "given-up";
  }

  /** Called when its letter is acknowledged. */
  acknowledge(record: PutRecord, now: number): void {
    const seen = this.#seen.get(record);
    if (seen?.state !== "given-up") return;
    seen.state = "done";
    seen.at = now;
  }

  /**
   * The records that a checkpoint written now must list as done. Records that became done at this
   * very moment may be missing, and so may the newest record of a resumed reading, because the
   * earlier checkpoint may list records beyond it.
   */
  done(now: number): ReadonlySet<PutRecord> {
    const isResumed = this.#checkpoint?.kind === "position" && this.#checkpoint.ahead !== undefined;
    const done = new Set(this.#flushed);
    for (const [record, { state, at }] of this.#seen) {
      if (state !== "done" || at >= now || (isResumed && record === this.#newest)) continue;
      done.add(record);
    }
    return done;
  }

  #wrongAt(call: Call, record: PutRecord, inCall: ReadonlySet<PutRecord>): string | undefined {
    if (this.#covers(record)) return "comes although the checkpoint covers it";
    if (this.#flushed.has(record)) return "comes again although it was flushed as done";
    const wrong = this.#wrongAgain(call, this.#seen.get(record));
    if (wrong !== undefined) return wrong;
    const before = this.#unfinishedBefore(record, inCall);
    return before && `comes before ${before.id} is done`;
  }

  /** The violation of another attempt, if any. */
  #wrongAgain(call: Call, seen: Seen | undefined): string | undefined {
    const { batches } = this.#plan;
    const { attempt } = call;
    const before = seen?.call?.attempt ?? 0;
    if (attempt > this.#maxAttempts) return `comes as attempt ${attempt}`;
    switch (seen?.state) {
      case "running":
        return "comes again while it is handled";
      case "done":
        return "comes again although it is done";
      case "given-up":
        return "comes again although it is given up";
      case "failed": {
        const { isFinal, isTimedOut, notBefore } = seen.failure!;
        if (isTimedOut) return undefined;
        if (this.#isSpent(seen, isFinal ? "non-retriable" : "attempts")) {
          return "comes again although no attempt is left";
        }
        // Halves are delivered immediately, and a split is not an attempt.
        if (batches?.bisect === true) return undefined;
        if (call.startedAt < notBefore) return `comes ${notBefore - call.startedAt} ms too soon`;
        return attempt === before + 1 ? undefined : `comes as attempt ${attempt} after ${before}`;
      }
      case "interrupted":
      case "unknown":
        // It follows a failed record of its batch, and is now in another batch.
        if (batches !== undefined || attempt === before) return undefined;
        return `comes as attempt ${attempt} once more`;
      case undefined:
        if (batches !== undefined || attempt === 1) return undefined;
        return `comes as attempt ${attempt} first`;
    }
  }

  /** The record that should have been handled first. */
  #unfinishedBefore(record: PutRecord, inCall: ReadonlySet<PutRecord>): PutRecord | undefined {
    for (let one = this.#before(record); one !== undefined; one = this.#before(one)) {
      const state = this.#seen.get(one)?.state;
      // The records before that one were done when it was started.
      if (this.#covers(one) || state === "done" || state === "unknown" || inCall.has(one)) break;
      if (state !== undefined || !(one.mayBeLeftOut === true || this.#mayBePassed(one))) return one;
    }
    return undefined;
  }

  #before(record: PutRecord): PutRecord | undefined {
    const { concurrency, ordering } = this.#plan;
    if (ordering === "none") return undefined;
    return concurrency === 1 ? record.before : record.beforeInKey;
  }

  #isTooLarge({ records }: Call): boolean {
    const { maxRecords, maxBytes } = this.#plan.batches ?? { maxRecords: 1, maxBytes: Infinity };
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    return records.length > maxRecords || (records.length > 1 && bytes > maxBytes);
  }

  /** Whether no attempt is left. */
  #isSpent({ call, state, failure }: Seen, reason: DeadLetterReason): boolean {
    if (state !== "failed") return false;
    const { isFinal, isNamed } = failure!;
    const mayBeHalved = this.#plan.batches?.bisect === true && !isNamed && call!.records.length > 1;
    if (mayBeHalved) return false;
    return reason === "non-retriable" ? isFinal : call!.attempt >= this.#maxAttempts;
  }

  /** Whether it would be too old at its next attempt. */
  #isTooOld(seen: Seen | undefined, ageMs: number): boolean {
    const { maxRecordAgeMs = Infinity, retry } = this.#plan;
    const isHandled = seen?.state === "running" || seen?.state === "done";
    const waitMs = seen?.state === "failed" ? Math.max(retry?.maxDelayMs ?? 0, MAX_ASKED_MS) : 0;
    return !isHandled && seen?.state !== "given-up" && ageMs + waitMs > maxRecordAgeMs - 2;
  }

  get #maxAttempts(): number {
    return this.#plan.retry?.maxAttempts ?? 1;
  }

  #covers(record: PutRecord): boolean {
    const at = this.#checkpoint;
    if (at === undefined) return false;
    return at.kind === "shard-end" || comparePositions(record, at) <= 0;
  }

  /**
   * Whether the record may be skipped because the checkpoint lists it as done, which it may only do
   * for done records.
   */
  #mayBePassed(record: PutRecord): boolean {
    const at = this.#checkpoint;
    return at?.kind === "position" && at.ahead !== undefined && this.#isFinished(record);
  }
}
