import { positionOf } from "../checkpoints/position.ts";
import { isPromiseLike, SkipCheckpoint, type Handler } from "../handler.ts";
import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { Page } from "../reading/shard-reader.ts";
import type { ConsumerRecord } from "../record.ts";
import { tracedHandler } from "../telemetry/channels.ts";
import type { LetterSource } from "./letters/dead-letter.ts";
import type { DeliveredShard, Delivery, DeliveryStatus, OpenDelivery } from "./delivery.ts";
import { deliveryStatus } from "./delivery-status.ts";
import { Failures } from "./failures.ts";
import { HandledMetrics } from "./handled-metrics.ts";
import type { HandlerCall } from "./handler-call.ts";
import { HandlerCalls, type OpenCall } from "./handler-calls.ts";
import { laneOf, type LaneOf } from "./lane-of.ts";
import { Lanes } from "./lanes.ts";
import { Pump } from "./pump.ts";
import { RecordJob } from "./record-job.ts";
import { StartGate } from "./start-gate.ts";
import { Tracker } from "./tracker.ts";

/** The most records that wait in lanes, for each concurrent call of the handler. */
const WAITING_FOR_EACH = 10;

/** @param source the fields that all dead letters of the consumer share */
export function concurrent(
  handler: Handler,
  policy: ResolvedDelivery,
  source: LetterSource,
): OpenDelivery {
  return (shard) => new Concurrent(handler, policy, source, shard);
}

/**
 * Passes the records of a shard to the handler, up to `concurrency` concurrently: the records of a lane one
 * after another, those of different lanes in parallel. The next page is accepted when every record of this
 * one was started or waits in its lane.
 *
 * A synchronous handler costs no promise, and an object only for a record that has to wait.
 */
class Concurrent implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #handler: Handler;
  readonly #concurrency: number;
  readonly #laneOf: LaneOf;
  /** True if a record may be given to the handler again. Then a fresh copy is given to each attempt. */
  readonly #repeats: boolean;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #tracker: Tracker;
  readonly #pump: Pump;
  readonly #lanes = new Lanes<RecordJob>();
  readonly #failures: Failures<RecordJob>;
  readonly #calls: HandlerCalls<RecordJob>;
  /** The handler with tracing, as it is called for the newest page. */
  #traced: Handler;
  readonly #mayStartJob = ({ ordinal }: RecordJob): boolean => this.#tracker.mayStart(ordinal);
  /** A cursor over the page's records that were not started and are in no lane yet. */
  #page: RecordCursor | undefined;
  /** The record at the cursor, once it was read, and its lane, or the error that `key` threw. */
  #record: ConsumerRecord | undefined;
  #lane: string | undefined;
  #laneFailure: { readonly error: unknown } | undefined;
  /** The number of records that were started or wait in lanes, and are not finished. */
  #unfinished = 0;
  /** Records handled synchronously that are not in the metrics yet, and since when. */
  #synchronous = 0;
  #synchronousSince = 0;

  constructor(
    handler: Handler,
    policy: ResolvedDelivery,
    source: LetterSource,
    shard: DeliveredShard,
  ) {
    const { concurrency, retry, onFailure, handlerTimeoutMs } = policy;
    this.#shard = shard;
    this.#handler = this.#traced = handler;
    this.#concurrency = concurrency;
    this.#laneOf = laneOf(policy);
    this.#repeats = retry.maxAttempts > 1 || onFailure !== "stop" || shard.fence !== undefined;
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
    this.#tracker = new Tracker(shard.progress);
    this.#failures = new Failures(shard, policy, source, {
      onHeld: (job) => this.#detachLane(job),
      onRetry: (job) => {
        this.#lanes.ready(job);
        this.#pump.resume();
      },
      onGivenUp: (job) => {
        this.#finish(job, undefined);
        this.#pump.resume();
      },
    });
    this.#calls = new HandlerCalls(shard, this.#metrics, handlerTimeoutMs, {
      onDone: (job, answer) => this.#succeed(job, answer),
      onFailed: (job, error, call) => this.#judge(job, error, call),
      onRoom: () => this.#pump.resume(),
    });
    this.#pump = new Pump(shard, this.#gate, {
      start: () => this.#startAll(),
      rest: () => this.#rest(),
    });
  }

  async accept(page: Page): Promise<void> {
    const { shardId, stop, telemetry } = this.#shard;
    this.#page = this.#tracker.accept(page);
    this.#traced = tracedHandler(this.#handler, { ...telemetry.source, shardId });
    if (page.records.left > 0) this.#metrics.countPage();
    this.#pump.resume();
    await this.#pump.until(() => this.#page === undefined);
    stop.throwIfAborted();
  }

  async settle(): Promise<void> {
    await this.#pump.until(() => this.#unfinished === 0);
    this.#shard.stop.throwIfAborted();
  }

  status(now: number): DeliveryStatus {
    const stations = {
      gate: this.#gate,
      calls: this.#calls,
      failures: this.#failures,
      tracker: this.#tracker,
    };
    return deliveryStatus(now, stations, {
      keysHeldUp: this.#failures.heldUp,
      recordsInFlight: (this.#page?.left ?? 0) + this.#unfinished,
    });
  }

  async close(): Promise<void> {
    const { clock } = this.#shard;
    this.#pump.close();
    await this.#calls.untilIdle();
    await this.#failures.close();
    this.#calls.close();
    this.#metrics.report(clock.monotonic());
    // The gate may still be closed. Nothing that was accepted starts after this.
    this.#page = undefined;
    this.#tracker.close();
  }

  /** Starts every record that may start now. */
  #startAll(): void {
    while (this.#mayStart() && this.#seek() && this.#pump.mayPass()) this.#startOne();
    // There is room for the next page, though some records of this one wait in their lanes.
    if (this.#page?.left === 0) this.#endPage();
  }

  #rest(): void {
    this.#timeSynchronous();
    if (this.#calls.running === 0) this.#metrics.report(this.#shard.clock.monotonic());
    if (this.#unfinished === 0) this.#pump.wake();
  }

  #mayStart(): boolean {
    return this.#calls.running < this.#concurrency && !this.#pump.isClosed;
  }

  /**
   * Finds the record that starts next and puts records whose lanes are busy into them. Returns false if no
   * record may start.
   */
  #seek(): boolean {
    if (this.#lanes.first !== undefined) return this.#lanes.moveToFront(this.#mayStartJob);
    for (;;) {
      const page = this.#page;
      const record = page && this.#current(page);
      if (record === undefined) return false;
      const last = this.#lanes.lastOf(this.#lane);
      if (last === undefined) return this.#tracker.mayStartNext();
      if (this.#lanes.waiting >= WAITING_FOR_EACH * this.#concurrency) return false;
      const job = this.#pass(page!, record, this.#startOf(page!, record));
      this.#lanes.follow(last, job);
      if (last.isDetached) job.detach(this.#tracker);
    }
  }

  /** The record at the cursor, with its lane. */
  #current(records: RecordCursor): ConsumerRecord | undefined {
    if (this.#record !== undefined) return this.#record;
    const record = records.current();
    if (record === undefined) {
      this.#endPage();
      return undefined;
    }
    this.#record = record;
    try {
      this.#lane = this.#laneOf(record);
    } catch (error) {
      this.#laneFailure = { error };
      this.#lane = undefined;
    }
    return record;
  }

  #startOne(): void {
    if (this.#lanes.first === undefined) this.#startAtCursor(this.#page!, this.#record!);
    else this.#startJob(this.#lanes.take());
  }

  #startAtCursor(page: RecordCursor, record: ConsumerRecord): void {
    const ordinal = this.#startOf(page, record);
    if (this.#laneFailure !== undefined || this.#failures.isTooOld(record)) {
      return this.#refuse(this.#pass(page, record, ordinal));
    }
    this.#count(record);
    const open = this.#calls.open();
    let answer: unknown;
    let failure: { readonly error: unknown } | undefined;
    try {
      answer = open.call.begin(this.#traced, record, 1);
      if (!isPromiseLike(answer)) {
        this.#calls.release(open);
        this.#record = undefined;
        page.advance();
        this.#done(ordinal, answer);
        return;
      }
    } catch (error) {
      failure = { error };
    }
    const unseen = this.#repeats ? page.current()! : record;
    const job = this.#pass(page, unseen, ordinal);
    job.attempts = 1;
    this.#lanes.enter(job);
    if (failure === undefined) return this.#await(open, job, answer as PromiseLike<unknown>);
    this.#judge(job, failure.error, open.call);
    this.#calls.release(open);
  }

  /** Starts the first record of its lane, for the first time or again. */
  #startJob(job: RecordJob): void {
    const { record } = job;
    if (this.#failures.isTooOld(record)) return this.#failures.tooOld(job);
    if (job.attempts === 0) this.#count(record);
    else this.#shard.telemetry.add("handler_attempts", 1, { shardId: this.#shard.shardId });
    job.attempts += 1;
    const open = this.#calls.open();
    const given = this.#repeats ? job.given() : record;
    let answer: unknown;
    try {
      answer = open.call.begin(this.#traced, given, job.attempts);
      if (isPromiseLike(answer)) return this.#await(open, job, answer);
    } catch (error) {
      this.#judge(job, error, open.call);
      return this.#calls.release(open);
    }
    this.#calls.release(open);
    this.#succeed(job, answer);
  }

  /** Reading the clock before the next start costs little compared with an awaited answer. */
  #await(open: OpenCall<RecordJob>, job: RecordJob, answer: PromiseLike<unknown>): void {
    this.#calls.await(open, job, answer, this.#gate.checkedAt);
    this.#pump.checkClock();
  }

  /** Gives up the record at the cursor without calling the handler. */
  #refuse(job: RecordJob): void {
    this.#lanes.enter(job);
    const failure = this.#laneFailure;
    this.#laneFailure = undefined;
    if (failure === undefined) this.#failures.tooOld(job);
    else this.#failures.unordered(job, failure.error);
  }

  /** Moves the cursor past its record, which has to wait. */
  #pass(records: RecordCursor, record: ConsumerRecord, ordinal: number): RecordJob {
    this.#record = undefined;
    records.advance();
    return new RecordJob(record, ordinal, this.#lane);
  }

  /** Registers the record at the cursor with the tracker and returns its ordinal. */
  #startOf(page: RecordCursor, record: ConsumerRecord): number {
    const { sequenceNumber, subSequenceNumber: sub, approximateArrivalMs } = record;
    this.#unfinished += 1;
    return this.#tracker.start(sequenceNumber, sub, page.endsStreamRecord, approximateArrivalMs);
  }

  #count({ data }: ConsumerRecord): void {
    this.#metrics.records += 1;
    this.#metrics.bytes += data.byteLength;
  }

  #succeed(job: RecordJob, answer: unknown): void {
    if (job.firstFailedAt !== undefined) this.#failures.recovered();
    this.#finish(job, answer);
  }

  #finish(job: RecordJob, answer: unknown): void {
    this.#lanes.leave(job);
    this.#finished(job.ordinal, answer);
  }

  /** The handler returned synchronously. */
  #done(ordinal: number, answer: unknown): void {
    if (this.#synchronous === 0) this.#synchronousSince = this.#gate.checkedAt;
    this.#synchronous += 1;
    this.#finished(ordinal, answer);
  }

  #finished(ordinal: number, answer: unknown): void {
    this.#unfinished -= 1;
    if (answer === SkipCheckpoint) return this.#tracker.skipped(ordinal);
    this.#tracker.done(ordinal);
    this.#pump.finished(this.#shard.progress.writeThrough);
  }

  #timeSynchronous(): void {
    if (this.#synchronous === 0) return;
    const ms = this.#shard.clock.monotonic() - this.#synchronousSince;
    this.#metrics.took(ms, this.#synchronous);
    this.#synchronous = 0;
  }

  /** The handler threw or rejected. A record interrupted by a stop or a lost shard is delivered again. */
  #judge(job: RecordJob, error: unknown, call: HandlerCall): void {
    const { abandon, stop } = this.#shard;
    if (abandon.aborted || (stop.aborted && error === stop.reason)) return;
    if (call.hasExpired(positionOf(job.record), error)) {
      job.attempts -= 1;
      this.#lanes.ready(job);
    } else this.#failures.failed(job, error);
  }

  #endPage(): void {
    this.#page = undefined;
    this.#tracker.endPage();
    this.#pump.wake();
  }

  /** Copies the records of a lane whose first one failed out of their pages: they may wait for long. */
  #detachLane(first: RecordJob): void {
    for (let job: RecordJob | undefined = first; job !== undefined; job = job.behind) {
      job.detach(this.#tracker);
    }
  }
}
