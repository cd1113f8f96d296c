import { positionOf } from "../checkpoints/position.ts";
import { isPromiseLike, SkipCheckpoint, type Handler } from "../handler.ts";
import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
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
import { Pump } from "./pump.ts";
import { RecordIntake } from "./record-intake.ts";
import type { RecordJob } from "./record-job.ts";
import { StartGate } from "./start-gate.ts";
import { Tracker } from "./tracker.ts";

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
  /** True if a record may be given to the handler again. Then a fresh copy is given to each attempt. */
  readonly #repeats: boolean;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #tracker: Tracker;
  readonly #intake: RecordIntake;
  readonly #pump: Pump;
  readonly #failures: Failures<RecordJob>;
  readonly #calls: HandlerCalls<RecordJob>;
  /** The handler with tracing, as it is called for the newest page. */
  #traced: Handler;

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
    this.#repeats = retry.maxAttempts > 1 || onFailure !== "stop" || shard.fence !== undefined;
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
    this.#tracker = new Tracker(shard.progress);
    this.#intake = new RecordIntake(policy, this.#tracker, () => this.#pump.wake());
    this.#failures = new Failures(shard, policy, source, {
      onHeld: (job) => this.#intake.detachLane(job),
      onRetry: (job) => {
        this.#intake.ready(job);
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
    this.#intake.accept(page);
    this.#traced = tracedHandler(this.#handler, { ...telemetry.source, shardId });
    if (page.records.left > 0) this.#metrics.countPage();
    this.#pump.resume();
    await this.#pump.until(() => !this.#intake.hasPage);
    stop.throwIfAborted();
  }

  async settle(): Promise<void> {
    await this.#pump.until(() => this.#intake.unfinished === 0);
    this.#shard.stop.throwIfAborted();
  }

  status(now: number): DeliveryStatus {
    const stations = {
      gate: this.#gate,
      calls: this.#calls,
      failures: this.#failures,
      tracker: this.#tracker,
    };
    const { inFlight: recordsInFlight } = this.#intake;
    return deliveryStatus(now, stations, { keysHeldUp: this.#failures.heldUp, recordsInFlight });
  }

  async close(): Promise<void> {
    this.#pump.close();
    await this.#calls.untilIdle();
    await this.#failures.close();
    this.#calls.close();
    this.#metrics.report(this.#shard.clock.monotonic());
    // The gate may still be closed. Nothing that was accepted starts after this.
    this.#intake.close();
    this.#tracker.close();
  }

  /** Starts every record that may start now. */
  #startAll(): void {
    while (this.#mayStart() && this.#intake.seek() && this.#pump.mayPass()) this.#startOne();
    // There is room for the next page, though some records of this one wait in their lanes.
    this.#intake.endReadPage();
  }

  #rest(): void {
    this.#metrics.endSynchronous();
    if (this.#calls.running === 0) this.#metrics.report(this.#shard.clock.monotonic());
    if (this.#intake.unfinished === 0) this.#pump.wake();
  }

  #mayStart(): boolean {
    return this.#calls.running < this.#concurrency && !this.#pump.isClosed;
  }

  #startOne(): void {
    const job = this.#intake.takeJob();
    if (job === undefined) this.#startAtCursor(this.#intake.record);
    else this.#startJob(job);
  }

  #startAtCursor(record: ConsumerRecord): void {
    const intake = this.#intake;
    const { laneFailure } = intake;
    const ordinal = intake.start(record);
    if (laneFailure !== undefined) {
      return this.#failures.unordered(intake.enter(record, ordinal), laneFailure.error);
    }
    if (this.#failures.isTooOld(record)) {
      return this.#failures.tooOld(intake.enter(record, ordinal));
    }
    this.#metrics.count(record);
    const open = this.#calls.open();
    let answer: unknown;
    let failure: { readonly error: unknown } | undefined;
    try {
      answer = open.call.begin(this.#traced, record, 1);
      if (!isPromiseLike(answer)) {
        this.#calls.release(open);
        intake.advance();
        this.#metrics.synchronous(this.#gate.checkedAt);
        this.#finished(ordinal, answer);
        return;
      }
    } catch (error) {
      failure = { error };
    }
    const job = intake.enter(this.#repeats ? intake.reread() : record, ordinal);
    job.attempts = 1;
    if (failure === undefined) return this.#await(open, job, answer as PromiseLike<unknown>);
    this.#judge(job, failure.error, open.call);
    this.#calls.release(open);
  }

  /** Starts the first record of its lane, for the first time or again. */
  #startJob(job: RecordJob): void {
    const { record } = job;
    if (this.#failures.isTooOld(record)) return this.#failures.tooOld(job);
    if (job.attempts === 0) this.#metrics.count(record);
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

  #succeed(job: RecordJob, answer: unknown): void {
    if (job.firstFailedAt !== undefined) this.#failures.recovered();
    this.#finish(job, answer);
  }

  #finish(job: RecordJob, answer: unknown): void {
    this.#intake.leave(job);
    this.#finished(job.ordinal, answer);
  }

  #finished(ordinal: number, answer: unknown): void {
    if (answer === SkipCheckpoint) return this.#intake.skipped(ordinal);
    this.#intake.done(ordinal);
    this.#pump.finished(this.#shard.progress.writeThrough);
  }

  /** The handler threw or rejected. A record interrupted by a stop or a lost shard is delivered again. */
  #judge(job: RecordJob, error: unknown, call: HandlerCall): void {
    const { abandon, stop } = this.#shard;
    if (abandon.aborted || (stop.aborted && error === stop.reason)) return;
    if (call.hasExpired(positionOf(job.record), error)) {
      job.attempts -= 1;
      this.#intake.ready(job);
    } else this.#failures.failed(job, error);
  }
}
