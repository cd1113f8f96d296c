import { positionOf } from "../../checkpoints/position.ts";
import { isAtOrBeyond } from "../../checkpoints/write-outcome.ts";
import { isPromiseLike, SkipCheckpoint, type BatchHandler } from "../../handler.ts";
import type { ResolvedBatches } from "../../options/resolve-delivery.ts";
import type { Page } from "../../reading/shard-reader.ts";
import type { ConsumerRecord } from "../../record.ts";
import { tracedBatchHandler } from "../../telemetry/channels.ts";
import { Batch, RunAgain, type BatchRecord } from "./batch.ts";
import { BatchIntake } from "./batch-intake.ts";
import { BatchItemError, outcomeOf, type BatchOutcome } from "./batch-outcome.ts";
import type { LetterSource } from "../letters/dead-letter.ts";
import { decodingOf } from "../decode.ts";
import type { DeliveredShard, Delivery, DeliveryStatus, OpenDelivery } from "../delivery.ts";
import { deliveryStatus } from "../delivery-status.ts";
import { FailedBatches } from "./failed-batches.ts";
import { Failures } from "../failures.ts";
import { HandledMetrics } from "../handled-metrics.ts";
import type { HandlerCall } from "../handler-call.ts";
import { HandlerCalls } from "../handler-calls.ts";
import { Pump } from "../pump.ts";
import { StartGate } from "../start-gate.ts";
import { Tracker } from "../tracker.ts";

/** @param source the fields that all dead letters of the consumer share */
export function batches(
  handler: BatchHandler,
  policy: ResolvedBatches,
  source: LetterSource,
): OpenDelivery {
  return (shard) => new Batches(handler, policy, source, shard);
}

/**
 * Passes the records of a shard to the handler in batches, up to `concurrency` of them concurrently. A key
 * is in one batch at a time. A batch is delivered when it is full, when its first record has waited for
 * `maxWaitMs`, and at the shard's end. After a stop, records that no handler has are delivered again.
 */
class Batches implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #handler: BatchHandler;
  readonly #policy: ResolvedBatches;
  readonly #decode: ((record: ConsumerRecord) => void) | undefined;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #tracker: Tracker;
  readonly #pump: Pump;
  readonly #intake: BatchIntake;
  readonly #failures: Failures<BatchRecord>;
  readonly #failed: FailedBatches;
  readonly #calls: HandlerCalls<Batch>;
  #traced: BatchHandler;
  /** Batches that were held back or retried, and may start now. */
  readonly #due: Batch[] = [];

  constructor(
    handler: BatchHandler,
    policy: ResolvedBatches,
    source: LetterSource,
    shard: DeliveredShard,
  ) {
    this.#shard = shard;
    this.#handler = this.#traced = handler;
    this.#policy = policy;
    this.#decode = policy.decode && decodingOf(policy.decode);
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
    this.#tracker = new Tracker(shard.progress);
    this.#intake = new BatchIntake(shard, policy, this.#tracker, {
      onHeldUp: (record) => record.detach(this.#tracker),
      onUnordered: (record, error) => this.#failures.unordered(record, error),
      onPageEnd: () => this.#pump.wake(),
      onDue: () => this.#pump.resume(),
    });
    shard.progress.endsFrom((position) => this.#tracker.endsStreamRecord(position));
    this.#failures = new Failures(shard, policy, source, {
      onHeld: (record) => {
        this.#intake.hold(record);
        record.detach(this.#tracker);
      },
      onRetry: ({ batch }) => this.#failed.again(batch!),
      onGivenUp: (record) => {
        this.#finish(record, undefined);
        this.#pump.resume();
      },
    });
    this.#failed = new FailedBatches(shard, policy, this.#failures, {
      onDue: (batch) => {
        this.#due.push(batch);
        this.#pump.resume();
      },
      onWait: (record) => record.detach(this.#tracker),
    });
    this.#calls = new HandlerCalls(shard, this.#metrics, policy.handlerTimeoutMs, {
      onDone: (batch, answer) => this.#answered(batch, answer),
      onFailed: (batch, error, call) => this.#judge(batch, error, call),
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
    this.#traced = tracedBatchHandler(this.#handler, { ...telemetry.source, shardId });
    if (page.records.left > 0) this.#metrics.countPage();
    this.#pump.resume();
    await this.#pump.until(() => !this.#intake.hasPage);
    stop.throwIfAborted();
  }

  async settle(): Promise<void> {
    this.#intake.ending(true);
    this.#pump.resume();
    await this.#pump.until(() => this.#intake.unfinished === 0);
    // The shard may not have ended after all.
    this.#intake.ending(false);
    this.#shard.stop.throwIfAborted();
  }

  status(now: number): DeliveryStatus {
    const stations = {
      gate: this.#gate,
      calls: this.#calls,
      failures: this.#failures,
      tracker: this.#tracker,
    };
    const { held: keysHeldUp, inFlight: recordsInFlight } = this.#intake;
    return deliveryStatus(now, stations, { keysHeldUp, recordsInFlight });
  }

  async close(): Promise<void> {
    const { clock } = this.#shard;
    this.#pump.close();
    await this.#calls.untilIdle();
    await this.#failures.close();
    this.#calls.close();
    this.#metrics.report(clock.monotonic());
    // The gate may still be closed. Nothing that was accepted starts after this.
    this.#intake.close();
    this.#tracker.close();
  }

  /** Starts every batch that may start now. */
  #startAll(): void {
    for (;;) {
      this.#intake.fill();
      if (!this.#mayStart() || !this.#pump.mayPass()) return;
      this.#start(this.#due.shift() ?? this.#take());
    }
  }

  #rest(): void {
    if (this.#calls.running === 0) this.#metrics.report(this.#shard.clock.monotonic());
    if (this.#intake.unfinished === 0) this.#pump.wake();
  }

  #mayStart(): boolean {
    if (this.#pump.isClosed || this.#calls.running >= this.#policy.concurrency) return false;
    return this.#due.length > 0 || this.#intake.isComplete;
  }

  #take(): Batch {
    return new Batch(this.#intake.take(), 0, (next) => this.#free(next));
  }

  #start(batch: Batch): void {
    const { shardId, stop, telemetry, clock } = this.#shard;
    const given = this.#given(batch);
    if (stop.aborted || given.records.length === 0) return;
    const { attempts } = ((given.batch.attempts += 1), given.batch);
    if (attempts > 1) telemetry.add("handler_attempts", 1, { shardId });
    telemetry.record("batch_size", given.records.length, {});
    const startedAt = clock.monotonic();
    this.#pump.checkClock();
    const open = this.#calls.open();
    let answer: unknown;
    try {
      answer = open.call.begin(this.#traced, given.records, attempts);
      if (isPromiseLike(answer)) {
        return this.#calls.await(open, given.batch, answer, startedAt, given.records.length);
      }
    } catch (error) {
      this.#judge(given.batch, error, open.call);
      return this.#calls.release(open);
    }
    this.#calls.release(open);
    this.#metrics.took(clock.monotonic() - startedAt, given.records.length);
    this.#answered(given.batch, answer);
  }

  /**
   * The records of a batch that the handler gets. Records that are too old or cannot be decoded are given
   * up; until their letters are acknowledged, later records of their keys are held back. In shard order a
   * letter is sent only after all earlier records are done. With `onFailure: "stop"` this holds in every
   * order: the earlier records are handled before the delivery ends.
   */
  #given(batch: Batch): { readonly batch: Batch; readonly records: readonly ConsumerRecord[] } {
    const places: number[] = [];
    const behind: number[] = [];
    const heldUp = new Set<string>();
    const records: ConsumerRecord[] = [];
    const { ordering, onFailure } = this.#policy;
    const inTurn = onFailure === "stop" || (ordering === "shard" && this.#failures.sendsLetters);
    for (const [place, job] of batch.records.entries()) {
      if (job.key !== undefined && heldUp.has(job.key)) {
        behind.push(place);
        continue;
      }
      const record = job.given();
      const giveUp = this.#refusal(job, record);
      if (giveUp !== undefined) {
        if (inTurn && places.length > 0) behind.push(place);
        else giveUp();
        if (job.key !== undefined && !job.isFinished) heldUp.add(job.key);
        continue;
      }
      if (job.attempts === 0) this.#metrics.count(record);
      job.attempts = batch.attempts + 1;
      places.push(place);
      records.push(record);
    }
    // Before the handler's part is split off, so that the held-back records wait for that part too.
    if (behind.length > 0) this.#failed.holdBack(batch, behind, batch.attempts, inTurn);
    const isWhole = places.length === 0 || places.length === batch.records.length;
    return { batch: isWhole ? batch : batch.part(places, batch.attempts), records };
  }

  /** Returns undefined if the handler may get the record, else a function that gives it up. */
  #refusal(job: BatchRecord, record: ConsumerRecord): (() => void) | undefined {
    if (this.#failures.isTooOld(record)) return () => this.#failures.tooOld(job);
    try {
      this.#decode?.(record);
      return undefined;
    } catch (error) {
      return () => this.#failures.failed(job, error);
    }
  }

  #answered(batch: Batch, answer: unknown): void {
    const { records } = batch;
    if (answer === SkipCheckpoint) return this.#finishAll(records, SkipCheckpoint);
    if (answer instanceof RunAgain) return this.#runAgain(batch, answer);
    let outcome: BatchOutcome;
    try {
      outcome = outcomeOf(
        records.map(({ record }) => record),
        answer,
        (place) => records[place]!.key,
      );
    } catch (error) {
      this.#countError();
      return this.#failed.failed(batch, error);
    }
    const { done, failed, behind } = outcome;
    if (failed.length > 0) this.#countError();
    this.#finishAll(
      done.map((place) => records[place]!),
      undefined,
    );
    if (failed.length > 0) this.#failed.retry(batch, failed, behind, new BatchItemError());
  }

  /** The handler threw or rejected. Records interrupted by a stop or a lost shard are delivered again. */
  #judge(batch: Batch, error: unknown, call: HandlerCall): void {
    const { abandon, stop } = this.#shard;
    if (abandon.aborted || (stop.aborted && error === stop.reason)) return;
    if (call.hasExpired(positionOf(batch.records[0]!.record), error)) {
      batch.attempts -= 1;
      this.#failed.again(batch);
    } else this.#failed.failed(batch, error);
  }

  #runAgain(batch: Batch, { stored }: RunAgain): void {
    const { records } = batch;
    const first = records.findIndex(
      ({ record }) => stored === undefined || !isAtOrBeyond(stored, positionOf(record)),
    );
    const done = first < 0 ? records.length : first;
    const places = [...records.keys()].slice(done);
    const rest = places.length > 0 ? batch.part(places, batch.attempts - 1) : undefined;
    this.#finishAll(records.slice(0, done), undefined);
    if (rest !== undefined) this.#failed.again(rest);
  }

  /** The batch no longer waits for another one. */
  #free(batch: Batch): void {
    if (!batch.isPaused) this.#due.push(batch);
  }

  #finishAll(records: readonly BatchRecord[], answer: unknown): void {
    for (const record of records) {
      if (record.firstFailedAt !== undefined) this.#failures.recovered();
      this.#finish(record, answer);
    }
  }

  #finish(record: BatchRecord, answer: unknown): void {
    const { batch, ordinal } = record;
    this.#intake.leave(record);
    if (answer === SkipCheckpoint) this.#tracker.skipped(ordinal);
    else {
      this.#tracker.done(ordinal);
      this.#pump.finished(this.#shard.progress.writeThrough);
    }
    record.isFinished = true;
    batch?.leave();
  }

  #countError(): void {
    const { shardId, telemetry } = this.#shard;
    telemetry.add("handler_errors", 1, { shardId });
  }
}
