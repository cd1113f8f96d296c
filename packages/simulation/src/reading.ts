import { comparePositions, type Checkpoint } from "@kc/core";
import type { Call, Outcome } from "./call.ts";
import type { DeliveryPlan } from "./delivery-plan.ts";
import type { PutRecord } from "./puts.ts";

/** What has become of a record. */
interface Seen {
  call: Call;
  state: "running" | Outcome["kind"];
  /** When it became so. */
  at: number;
}

/**
 * One reading of a shard, under one grant of its lease: it begins behind the checkpoint that the claim
 * saw, and is told of each call of the handler.
 */
export class Reading {
  readonly #plan: DeliveryPlan;
  readonly #checkpoint: Checkpoint | undefined;
  /** Records that were flushed as done when the lease was granted. */
  readonly #flushed: ReadonlySet<PutRecord>;
  readonly #isFinished: (record: PutRecord) => boolean;
  readonly #seen = new Map<PutRecord, Seen>();
  readonly #calls = new Set<Call>();
  #newest: PutRecord | undefined;

  /** @param isFinished has anybody been done with the record? */
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

  /** Has it a record in the handler that nobody was given before? */
  has(record: PutRecord): boolean {
    return this.#seen.has(record);
  }

  /** The handler is called. Answers with what is wrong about it; then nothing is noted. */
  start(call: Call, now: number): string | undefined {
    for (const other of this.#calls) {
      if (!other.isOverdue) continue;
      this.end(other, () => ({ kind: "failed", isFinal: false, afterMs: 0 }), now);
    }
    const { concurrency } = this.#plan;
    if (this.#calls.size >= concurrency) return `is call ${this.#calls.size + 1} at once`;
    const inCall = new Set<PutRecord>();
    for (const record of call.records) {
      const wrong = this.#wrongAt(record, inCall);
      if (wrong !== undefined) return `${wrong} (${record.id})`;
      inCall.add(record);
    }
    this.#calls.add(call);
    for (const record of call.records) {
      this.#seen.set(record, { call, state: "running", at: now });
      if (this.#newest === undefined || comparePositions(this.#newest, record) < 0) {
        this.#newest = record;
      }
    }
    return undefined;
  }

  /** A call has ended, or is not waited for any more. */
  end(call: Call, outcomeOf: (record: PutRecord) => Outcome, now: number): void {
    this.#calls.delete(call);
    for (const record of call.records) {
      const seen = this.#seen.get(record);
      if (seen?.call !== call || seen.state !== "running") continue;
      seen.state = outcomeOf(record).kind;
      seen.at = now;
    }
  }

  /**
   * What a checkpoint that is written now has to know as done. At the moment itself it may come too
   * early; and of the newest record an earlier checkpoint may know more than what is behind it.
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

  #wrongAt(record: PutRecord, inCall: ReadonlySet<PutRecord>): string | undefined {
    if (this.#covers(record)) return "comes although the checkpoint covers it";
    if (this.#flushed.has(record)) return "comes again although it was flushed as done";
    const state = this.#seen.get(record)?.state;
    if (state === "running") return "comes again while it is handled";
    if (state === "done") return "comes again although it is done";
    if (state === "failed") return "comes again although it failed";
    const before = this.#unfinishedBefore(record, inCall);
    return before && `comes before ${before.id} is done`;
  }

  /** The record that should have been handled first. */
  #unfinishedBefore(record: PutRecord, inCall: ReadonlySet<PutRecord>): PutRecord | undefined {
    for (let one = this.#before(record); one !== undefined; one = this.#before(one)) {
      const state = this.#seen.get(one)?.state;
      // What came before that one was done when it was begun.
      if (this.#covers(one) || state === "done" || state === "unknown" || inCall.has(one)) break;
      if (state !== undefined || !this.#mayBePassed(one)) return one;
    }
    return undefined;
  }

  #before(record: PutRecord): PutRecord | undefined {
    const { concurrency, ordering } = this.#plan;
    if (ordering === "none") return undefined;
    return concurrency === 1 ? record.before : record.beforeInKey;
  }

  #covers(record: PutRecord): boolean {
    const at = this.#checkpoint;
    if (at === undefined) return false;
    return at.kind === "shard-end" || comparePositions(record, at) <= 0;
  }

  /** The checkpoint may say that it is done: it does so only of what is. */
  #mayBePassed(record: PutRecord): boolean {
    const at = this.#checkpoint;
    return at?.kind === "position" && at.ahead !== undefined && this.#isFinished(record);
  }
}
