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

/** So many records at most wait in lanes, for each that may be in the handler. */
const WAITING_FOR_EACH = 10;

/** @param source what letters of given-up records have in common */
export function concurrent(
  handler: Handler,
  policy: ResolvedDelivery,
  source: LetterSource,
): OpenDelivery {
  return (shard) => new Concurrent(handler, policy, source, shard);
}

/**
 * Brings records of a shard to the handler, up to `concurrency` at once: the records of a lane one after
 * another, the lanes side by side. There is room for the next page when the last record of this one has
 * been started, or waits in its lane.
 *
 * A handler that is not async costs no promise, and an object only where its record has to wait.
 */
class Concurrent implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #handler: Handler;
  readonly #concurrency: number;
  readonly #laneOf: LaneOf;
  /** May a record be given to the handler again? Then it is not the one that a handler has seen. */
  readonly #repeats: boolean;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #tracker: Tracker;
  readonly #pump: Pump;
  readonly #lanes = new Lanes<RecordJob>();
  readonly #failures: Failures<RecordJob>;
  readonly #calls: HandlerCalls<RecordJob>;
  /** The handler, as it is called for the newest page. */
  #traced: Handler;
  readonly #mayStartJob = ({ ordinal }: RecordJob): boolean => this.#tracker.mayStart(ordinal);
  /** The records of a page that are not all started or in lanes. */
  #page: RecordCursor | undefined;
  /** The record at its cursor, once it was looked at, and its lane, or why that is not known. */
  #record: ConsumerRecord | undefined;
  #lane: string | undefined;
  #laneFailure: { readonly error: unknown } | undefined;
  /** Records that were started, or are in lanes, and are not finished. */
  #unfinished = 0;
  /** Records that a handler was done with at once, since when. */
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
    if (page.records.left > 0) this.#metrics.pageOver();
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
    await this.#calls.untilOver();
    await this.#failures.close();
    this.#calls.close();
    this.#metrics.report(clock.monotonic());
    // The gate may hold back still, and lets nothing through that is here.
    this.#page = undefined;
    this.#tracker.close();
  }

  /** Starts what may start now. */
  #startAll(): void {
    while (this.#mayStart() && this.#seek() && this.#pump.isLetThrough()) this.#startOne();
    // There is room for the next page, though its records have to wait.
    if (this.#page?.left === 0) this.#pageOver();
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
   * Is there a record that may start, and comes first then? Those before it whose lanes are taken are put
   * into them.
   */
  #seek(): boolean {
    if (this.#lanes.first !== undefined) return this.#lanes.prefer(this.#mayStartJob);
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

  /** The record at the cursor. */
  #current(records: RecordCursor): ConsumerRecord | undefined {
    if (this.#record !== undefined) return this.#record;
    const record = records.current();
    if (record === undefined) {
      this.#pageOver();
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

  /** The first of its lane, for the first time or again. */
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

  /** Beside an answer that is awaited, a look at the clock before the next start costs little. */
  #await(open: OpenCall<RecordJob>, job: RecordJob, answer: PromiseLike<unknown>): void {
    this.#calls.await(open, job, answer, this.#gate.lookedAt);
    this.#pump.look();
  }

  /** The record at the cursor never gets to the handler. */
  #refuse(job: RecordJob): void {
    this.#lanes.enter(job);
    const failure = this.#laneFailure;
    this.#laneFailure = undefined;
    if (failure === undefined) this.#failures.tooOld(job);
    else this.#failures.unordered(job, failure.error);
  }

  /** The record at the cursor has to wait: the cursor passes it. */
  #pass(records: RecordCursor, record: ConsumerRecord, ordinal: number): RecordJob {
    this.#record = undefined;
    records.advance();
    return new RecordJob(record, ordinal, this.#lane);
  }

  /** The record at the cursor starts: its ordinal. */
  #startOf(page: RecordCursor, { sequenceNumber, subSequenceNumber }: ConsumerRecord): number {
    this.#unfinished += 1;
    return this.#tracker.start(sequenceNumber, subSequenceNumber, page.endsStreamRecord);
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

  /** A handler was done with it at once. */
  #done(ordinal: number, answer: unknown): void {
    if (this.#synchronous === 0) this.#synchronousSince = this.#gate.lookedAt;
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

  /** A handler threw, or rejected. What the stop or the loss of the shard interrupts comes again. */
  #judge(job: RecordJob, error: unknown, call: HandlerCall): void {
    const { abandon, stop } = this.#shard;
    if (abandon.aborted || (stop.aborted && error === stop.reason)) return;
    if (call.hasExpired(positionOf(job.record), error)) {
      job.attempts -= 1;
      this.#lanes.ready(job);
    } else this.#failures.failed(job, error);
  }

  #pageOver(): void {
    this.#page = undefined;
    this.#tracker.pageOver();
    this.#pump.wake();
  }

  /** What waits in a lane that is held up keeps no page. */
  #detachLane(first: RecordJob): void {
    for (let job: RecordJob | undefined = first; job !== undefined; job = job.behind) {
      job.detach(this.#tracker);
    }
  }
}
