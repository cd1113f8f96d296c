import { isPromiseLike, SkipCheckpoint, type BatchHandler } from "../handler.ts";
import type { ResolvedBatches } from "../options/resolve-delivery.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { Page } from "../reading/shard-reader.ts";
import type { ConsumerRecord } from "../record.ts";
import { tracedBatchHandler } from "../telemetry/channels.ts";
import { positionOf } from "../checkpoints/position.ts";
import { isAtOrBeyond } from "../checkpoints/write-outcome.ts";
import { Batch, BatchRecord, RunAgain } from "./batch.ts";
import { BatchLanes } from "./batch-lanes.ts";
import { BatchItemError, halvesOf, outcomeOf, type BatchOutcome } from "./batch-outcome.ts";
import { BatchWait } from "./batch-wait.ts";
import type { DeadLetterReason, LetterSource } from "./dead-letter.ts";
import { decodingOf } from "./decode.ts";
import type { DeliveredShard, Delivery, DeliveryStatus, OpenDelivery } from "./delivery.ts";
import { asksForDelay } from "./failure-policy.ts";
import { Failures } from "./failures.ts";
import { HandledMetrics } from "./handled-metrics.ts";
import type { HandlerCall } from "./handler-call.ts";
import { HandlerCalls } from "./handler-calls.ts";
import { laneOf, type LaneOf } from "./lane-of.ts";
import { Pump } from "./pump.ts";
import { RECORD_OVERHEAD_BYTES } from "./record-job.ts";
import { StartGate } from "./start-gate.ts";
import { Tracker } from "./tracker.ts";

/** @param source what letters of given-up records have in common */
export function batches(
  handler: BatchHandler,
  policy: ResolvedBatches,
  source: LetterSource,
): OpenDelivery {
  return (shard) => new Batches(handler, policy, source, shard);
}

/**
 * Brings the records of a shard to the handler in batches, up to `concurrency` of them at once: a key is
 * in one batch at a time. A batch is delivered when it is full, when its first record has waited for
 * `maxWaitMs`, and at the shard's end. At a stop, what is in no handler comes again.
 */
class Batches implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #handler: BatchHandler;
  readonly #policy: ResolvedBatches;
  readonly #laneOf: LaneOf;
  readonly #decode: ((record: ConsumerRecord) => void) | undefined;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #tracker: Tracker;
  readonly #pump: Pump;
  readonly #lanes: BatchLanes<BatchRecord>;
  readonly #failures: Failures<BatchRecord>;
  readonly #calls: HandlerCalls<Batch>;
  #traced: BatchHandler;
  /** When the newest page came, by the monotonic clock. */
  #pageCameAt = 0;
  /** Its records that are in no lane. */
  #records: RecordCursor | undefined;
  /** Batches that are due again, or whose turn has come. */
  readonly #due: Batch[] = [];
  #unfinished = 0;
  readonly #wait: BatchWait;
  /** The records that are there are the last ones. */
  #isEnding = false;

  constructor(
    handler: BatchHandler,
    policy: ResolvedBatches,
    source: LetterSource,
    shard: DeliveredShard,
  ) {
    this.#shard = shard;
    this.#handler = this.#traced = handler;
    this.#policy = policy;
    this.#laneOf = laneOf(policy);
    this.#decode = policy.decode && decodingOf(policy.decode);
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
    this.#tracker = new Tracker(shard.progress);
    this.#wait = new BatchWait(shard, policy.maxWaitMs, () => this.#pump.resume());
    this.#lanes = new BatchLanes(policy, (record) => this.#detach(record));
    this.#failures = new Failures(shard, policy, source, {
      onHeld: (record) => {
        this.#lanes.hold(record);
        this.#detach(record);
      },
      onRetry: ({ batch }) => this.#again(batch!),
      onGivenUp: (record) => {
        this.#finish(record, undefined);
        this.#pump.resume();
      },
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
    this.#records = this.#tracker.accept(page);
    this.#pageCameAt = this.#shard.clock.monotonic();
    this.#traced = tracedBatchHandler(this.#handler, { ...telemetry.source, shardId });
    if (page.records.left > 0) this.#metrics.pageOver();
    this.#pump.resume();
    await this.#pump.until(() => this.#records === undefined);
    stop.throwIfAborted();
  }

  async settle(): Promise<void> {
    this.#isEnding = true;
    this.#pump.resume();
    await this.#pump.until(() => this.#unfinished === 0);
    // The shard may turn out not to have ended.
    this.#isEnding = false;
    this.#shard.stop.throwIfAborted();
  }

  status(now: number): DeliveryStatus {
    const { pausedBy } = this.#gate;
    const startedAt = this.#calls.oldestStart;
    const retry = this.#failures.next(now);
    const isHeldUp = this.#failures.heldUp > 0;
    const waiting = pausedBy !== undefined ? "paused" : isHeldUp ? "retrying" : "idle";
    return {
      state: startedAt === undefined ? waiting : "handling",
      pausedBy,
      retry,
      keysHeldUp: this.#lanes.held,
      handlingForMs: now - (startedAt ?? now),
      recordsInFlight: (this.#records?.left ?? 0) + this.#unfinished,
      oldest: this.#tracker.oldest,
      isAtRecord: pausedBy === "user" || startedAt !== undefined || isHeldUp,
    };
  }

  async close(): Promise<void> {
    const { clock } = this.#shard;
    this.#pump.close();
    this.#wait.end();
    await this.#calls.untilOver();
    await this.#failures.close();
    this.#calls.close();
    this.#metrics.report(clock.monotonic());
    // The gate may hold back still, and lets nothing through that is here.
    this.#records = undefined;
    this.#tracker.close();
  }

  /** Starts what may start now. */
  #startAll(): void {
    for (;;) {
      this.#seek();
      if (!this.#mayStart() || !this.#pump.isLetThrough()) return;
      this.#start(this.#due.shift() ?? this.#take());
    }
  }

  #rest(): void {
    if (this.#calls.running === 0) this.#metrics.report(this.#shard.clock.monotonic());
    if (this.#unfinished === 0) this.#pump.wake();
  }

  /** Puts records into lanes, while there is room. */
  #seek(): void {
    const records = this.#records;
    while (records !== undefined && records.left > 0) {
      if (!this.#hasRoom) return;
      const record = records.current();
      if (record === undefined) break;
      const { endsStreamRecord } = records;
      records.advance();
      this.#add(record, endsStreamRecord);
    }
    if (records === undefined) return;
    this.#records = undefined;
    this.#tracker.pageOver();
    this.#pump.wake();
  }

  /** A batch for each call that may be made, and one more: so many records wait at most. */
  get #hasRoom(): boolean {
    const { concurrency, maxRecords } = this.#policy;
    const isFull = this.#lanes.waiting >= maxRecords * (concurrency + 1);
    return !isFull && this.#tracker.mayStartNext();
  }

  #add(record: ConsumerRecord, endsStreamRecord: boolean): void {
    this.#unfinished += 1;
    const { sequenceNumber, subSequenceNumber } = record;
    const ordinal = this.#tracker.start(sequenceNumber, subSequenceNumber, endsStreamRecord);
    let lane: string | undefined;
    let failure: { readonly error: unknown } | undefined;
    try {
      lane = this.#laneOf(record);
    } catch (error) {
      failure = { error };
    }
    const job = new BatchRecord(record, ordinal, lane, this.#pageCameAt);
    if (failure === undefined) this.#lanes.add(job);
    else this.#failures.giveUp(job, "non-retriable", failure.error);
  }

  #mayStart(): boolean {
    if (this.#pump.isClosed || this.#calls.running >= this.#policy.concurrency) return false;
    return this.#due.length > 0 || this.#isComplete();
  }

  /** Is the next batch to be delivered now? */
  #isComplete(): boolean {
    const { maxWaitMs } = this.#policy;
    const { first, isFull } = this.#lanes;
    if (first === undefined || !this.#tracker.mayStart(first.ordinal)) return false;
    if (isFull || this.#isEnding) return true;
    if (maxWaitMs === 0) return this.#records === undefined || !this.#hasRoom;
    return this.#wait.isOver(first.cameAt);
  }

  #take(): Batch {
    this.#wait.end();
    return new Batch(this.#lanes.take(), 0, (next) => this.#free(next));
  }

  #start(batch: Batch): void {
    const { shardId, stop, telemetry, clock } = this.#shard;
    const given = this.#given(batch);
    if (stop.aborted || given.records.length === 0) return;
    const { attempts } = ((given.batch.attempts += 1), given.batch);
    if (attempts > 1) telemetry.add("handler_attempts", 1, { shardId });
    telemetry.record("batch_size", given.records.length, {});
    const startedAt = clock.monotonic();
    this.#pump.look();
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
   * The records of a batch that may be tried, as the handler gets them. The others are given up: as long
   * as their letters are under way, the later ones of their keys wait. In the order of the shard a letter
   * comes in its turn, too, and so does the end of the delivery in any order.
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
        if (job.key !== undefined && !job.isOver) heldUp.add(job.key);
        continue;
      }
      if (job.attempts === 0) {
        this.#metrics.records += 1;
        this.#metrics.bytes += record.data.byteLength;
      }
      job.attempts = batch.attempts + 1;
      places.push(place);
      records.push(record);
    }
    // Before the part is made that the handler gets: that is waited for, too.
    if (behind.length > 0) this.#holdBack(batch, behind, batch.attempts, inTurn);
    const isWhole = places.length === 0 || places.length === batch.records.length;
    return { batch: isWhole ? batch : batch.part(places, batch.attempts), records };
  }

  /** Undefined = it may be tried; else what gives it up. */
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
      return this.#failed(batch, error);
    }
    const { done, failed, behind } = outcome;
    if (failed.length > 0) this.#countError();
    this.#finishAll(
      done.map((place) => records[place]!),
      undefined,
    );
    if (failed.length > 0) this.#retry(batch, failed, behind, new BatchItemError());
  }

  /** The handler threw, or rejected. What the stop or the loss of the shard interrupts comes again. */
  #judge(batch: Batch, error: unknown, call: HandlerCall): void {
    const { abandon, stop } = this.#shard;
    if (abandon.aborted || (stop.aborted && error === stop.reason)) return;
    if (call.hasExpired(batch.records[0]!.record.sequenceNumber, error)) {
      batch.attempts -= 1;
      this.#again(batch);
    } else this.#failed(batch, error);
  }

  /** Nothing of the batch is done. */
  #failed(batch: Batch, error: unknown): void {
    const { bisect, retry } = this.#policy;
    const { records, attempts } = batch;
    const isNobodysFault = asksForDelay(error) && attempts < retry.maxAttempts;
    if (bisect && records.length > 1 && !isNobodysFault) return this.#split(batch);
    this.#retry(batch, [...records.keys()], [], error);
  }

  /** A split is no attempt: it only finds out which record it was. */
  #split(batch: Batch): void {
    const { records, attempts } = batch;
    const { halves, inOrder } = halvesOf(records.length, (place) => records[place]!.key);
    const [one, other] = halves;
    const second = batch.part(other!, attempts - 1);
    const first = batch.part(one!, attempts - 1);
    if (inOrder) first.precede(second);
    this.#due.push(first);
    if (!inOrder) this.#due.push(second);
    this.#pump.resume();
  }

  /** Those that failed, and those behind them, are tried again together, or the first are given up. */
  #retry(batch: Batch, failed: readonly number[], behind: readonly number[], error: unknown): void {
    if (this.#shard.abandon.aborted) return;
    const lead = batch.records[failed[0]!]!;
    const verdict = this.#failures.judge(lead, error);
    if (verdict === undefined) return;
    if (verdict.kind === "retry") {
      const places = [...failed, ...behind].toSorted((a, b) => a - b);
      return this.#retryAfter(batch.part(places, batch.attempts), verdict.afterMs, error);
    }
    if (verdict.reason === "age") return this.#giveUpOld(batch, failed, behind, error);
    if (behind.length > 0) this.#holdBack(batch, behind, 0, false);
    this.#giveUpAll(batch, failed, verdict.reason, error);
  }

  /** The first one that failed is too old for another attempt. The others are judged by their own age. */
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
      // Those behind alone have not failed.
      const attempts = afterMs === undefined ? 0 : batch.attempts;
      const again = this.#holdBack(batch, places, attempts, false);
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

  /** Some records of a batch wait until its others are over: that may be long, and they keep no page. */
  #holdBack(
    batch: Batch,
    places: readonly number[],
    attempts: number,
    waitsForAll: boolean,
  ): Batch {
    const behind = batch.partBehind(places, attempts, waitsForAll);
    for (const record of behind.records) this.#detach(record);
    return behind;
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
    if (rest !== undefined) this.#again(rest);
  }

  #again(batch: Batch): void {
    batch.isPaused = false;
    if (batch.waits) return;
    this.#due.push(batch);
    this.#pump.resume();
  }

  /** What it waited for is over. */
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
    this.#lanes.leave(record);
    this.#unfinished -= 1;
    if (answer === SkipCheckpoint) this.#tracker.skipped(ordinal);
    else {
      this.#tracker.done(ordinal);
      this.#pump.finished(this.#shard.progress.writeThrough);
    }
    record.isOver = true;
    batch?.leave();
  }

  #countError(): void {
    const { shardId, telemetry } = this.#shard;
    telemetry.add("handler_errors", 1, { shardId });
  }

  /** What waits for long keeps no page. */
  #detach(job: BatchRecord): void {
    const bytes = job.record.data.byteLength + RECORD_OVERHEAD_BYTES;
    if (job.isDetached || !this.#tracker.detach(job.ordinal, bytes)) return;
    job.record = job.record.copy();
    job.isDetached = true;
  }
}
