import type { Fence } from "../checkpoints/store.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import { sleep, type Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import { isPromiseLike, SkipCheckpoint, type Handler, type HandlerContext } from "../handler.ts";
import { tracedHandler } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { HandledMetrics } from "./handled-metrics.ts";
import { typeOfError, withoutMessage } from "../without-message.ts";
import { RecordSignal } from "./record-signal.ts";
import type { Page } from "../reading/polling-reader.ts";
import type { RecordLoop } from "./record-iterator.ts";
import type { Totals } from "../scan/scan-log.ts";
import type { LoopTurns } from "./loop-turns.ts";

/**
 * Of records that a handler is done with at once, the clock is read once in so many at most: reading it
 * costs ten times the other checks.
 */
const RECORDS_BETWEEN_CHECKS = 16;
/** After so long without a turn of the event loop, timers and other shards get theirs. */
const TURN_MS = 10;
/** How often a frozen lease is looked at. */
const FROZEN_CHECK_MS = 50;

export interface DispatcherOptions {
  readonly shardId: string;
  readonly handler: Handler;
  /** Present under a lease. */
  readonly fence: Fence | undefined;
  readonly progress: ShardProgress;
  /** Aborts when no further record is to be started. */
  readonly stop: AbortSignal;
  /** Aborts when the shard is given up, with a record in hand or without. */
  readonly abandon: AbortSignal;
  /** Milliseconds left of the right to start records. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
  /** Shared by all shards of the scan. */
  readonly turns: LoopTurns;
  readonly telemetry: Telemetry;
  /** The scan's, to be added to. */
  readonly totals: Totals;
  /** What takes the records, if the handler only hands them on. */
  readonly loop: RecordLoop | undefined;
}

/**
 * Hands a shard's records to the handler, one at a time, in order. Before each start it asks whether
 * there is a stop; before the first of a page, after each answer that was awaited, and once in 16
 * records else, also whether the lease lasts, whether finished work waits for too long, and whose turn
 * of the event loop it is.
 *
 * A handler that is not async costs no promise. Nothing is taken from what the handler has seen: it
 * may write into its record and its context.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #figures: HandledMetrics;
  readonly #signal: RecordSignal;
  readonly #context: HandlerContext;
  /** Records begun since the last look at the clock. */
  #sinceCheck = 0;
  #checkEvery = 0;
  #checkedAt: number;
  #turnBegan: number;
  #delivering = false;
  #paused = false;
  /** Records of the page in hand that are not handled yet. */
  #left = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#turnBegan = this.#checkedAt = options.clock.monotonic();
    const { shardId, telemetry, clock, totals } = options;
    this.#figures = new HandledMetrics(shardId, telemetry, clock, totals);
    this.#signal = new RecordSignal(options);
    this.#context = contextOf(options, this.#signal);
  }

  /** Records of the page in hand that are not handled yet, as of the last look at the clock. */
  get recordsLeft(): number {
    return this.#left;
  }

  /** Since when the handler has been at the records in hand; undefined = it has none. */
  get handlingSince(): number | undefined {
    if (!this.#delivering || this.#paused) return undefined;
    return Math.max(this.#checkedAt, this.#options.loop?.tookAt ?? -Infinity);
  }

  /** Is the handler at a record now? One that only hands its record on waits in line for the loop. */
  get isAtRecord(): boolean {
    const { loop, shardId } = this.#options;
    return this.handlingSince !== undefined && (loop?.isAt(shardId) ?? true);
  }

  /** Do records wait for the store, or for the lease? */
  get paused(): boolean {
    return this.#paused;
  }

  /** True = the page was handled, and reading goes on. @throws KcError HANDLER_FAILED, or the store's */
  async deliver(page: Page): Promise<boolean> {
    const { shardId, progress, stop, telemetry } = this.#options;
    const { records, millisBehindLatest, first } = page;
    const figures = this.#figures;
    const context = this.#context;
    const signal = this.#signal;
    const handler = tracedHandler(this.#options.handler, { ...telemetry.source, shardId });
    this.#delivering = records.length > first;
    let awaited = false;
    figures.begin();
    try {
      for (let index = first; index < records.length; index += 1) {
        // Pages of several shards that arrive together take turns from their first record on.
        if (awaited || this.#sinceCheck >= this.#checkEvery || index === first) {
          this.#left = records.length - index;
          const pause = this.#check();
          if (pause) await pause;
        }
        this.#sinceCheck += 1;
        if (stop.aborted) return false;

        const record = records.record(index, shardId, millisBehindLatest);
        const { sequenceNumber, subSequenceNumber } = record;
        figures.records += 1;
        figures.bytes += record.data.byteLength;
        signal.begin();
        let answer: unknown;
        try {
          answer = handler(record, context);
          awaited = isPromiseLike(answer);
          if (awaited) answer = await answer;
        } catch (error) {
          // The handler followed the caller's own signal: a stop, and the record comes again.
          if (stop.aborted && error === stop.reason) return false;
          if (signal.expired) {
            telemetry.warn("a handler ended with its lease: its record comes again", {
              shardId,
              sequenceNumber,
              error: withoutMessage(error),
            });
            // The next look at the clock waits for the lease, or for the stop of the shard.
            awaited = true;
            index -= 1;
            continue;
          }
          telemetry.add("handler_errors", 1, { shardId });
          throw handlerFailed(shardId, sequenceNumber, error);
        }
        if (answer !== SkipCheckpoint) {
          progress.done(sequenceNumber, subSequenceNumber);
          if (progress.writeThrough) {
            await this.#writeThrough();
            awaited = true;
          }
        }
      }
      // A stop that came with the last record: a shard whose end is next must not end by it, since
      // that would acknowledge a record that was given back.
      return !stop.aborted;
    } finally {
      this.#delivering = false;
      this.#left = 0;
      signal.close();
      figures.end();
    }
  }

  /** Looks at the clock, and answers with a promise if the next record must wait. */
  #check(): Promise<void> | undefined {
    const { clock, progress, remainingMs } = this.#options;
    const now = clock.monotonic();
    const turnIsOver = now - this.#turnBegan > TURN_MS;
    // As many records as fit into what is left of the turn, going by the last ones.
    const handled = this.#sinceCheck;
    const recordMs = handled > 0 ? (now - this.#checkedAt) / handled : Infinity;
    const leftMs = turnIsOver ? TURN_MS : TURN_MS - (now - this.#turnBegan);
    const fitting = Math.max(1, Math.floor(leftMs / recordMs) || 0);
    this.#checkEvery = Math.min(RECORDS_BETWEEN_CHECKS, fitting);
    this.#sinceCheck = 0;
    this.#checkedAt = now;
    this.#figures.tellIfDue(now);
    const frozen = remainingMs !== undefined && remainingMs() <= 0;
    if (!turnIsOver && !frozen && !progress.overdue(now)) return undefined;
    return this.#wait();
  }

  async #wait(): Promise<void> {
    const { clock, turns, progress, remainingMs } = this.#options;
    const since = clock.monotonic();
    await turns.next();
    if (progress.overdue(clock.monotonic())) {
      await this.#pause("store", () => this.#untilFlushed());
    }
    if (remainingMs !== undefined && remainingMs() <= 0) {
      await this.#pause("lease", () => this.#untilRenewed(remainingMs));
    }
    this.#turnBegan = this.#checkedAt = clock.monotonic();
    this.#figures.pause(this.#turnBegan - since);
  }

  async #pause(waitingFor: "store" | "lease", until: () => Promise<void>): Promise<void> {
    const { shardId, telemetry } = this.#options;
    this.#paused = true;
    telemetry.emit({ kind: "shard-paused", shardId, waitingFor });
    await until();
    this.#paused = false;
    telemetry.emit({ kind: "shard-resumed", shardId });
  }

  async #untilRenewed(remainingMs: () => number): Promise<void> {
    const { clock, stop } = this.#options;
    while (remainingMs() <= 0 && !stop.aborted) await sleep(clock, FROZEN_CHECK_MS, stop);
  }

  /** What the store takes is not the handler's. */
  async #writeThrough(): Promise<void> {
    const { clock, progress } = this.#options;
    const since = clock.monotonic();
    this.#paused = true;
    try {
      await progress.flush();
    } finally {
      this.#paused = false;
      this.#checkedAt = clock.monotonic();
    }
    this.#figures.pause(this.#checkedAt - since);
  }

  /** The store lags behind: nothing new is begun until it has caught up, or the scan stops. */
  async #untilFlushed(): Promise<void> {
    const { shardId, progress, stop, telemetry } = this.#options;
    telemetry.warn("finished work waits for the store for too long: delivery pauses", { shardId });
    let cancel = (): void => {};
    const stopped = new Promise<void>((resolve) => {
      cancel = resolve;
      stop.addEventListener("abort", cancel, { once: true });
    });
    await Promise.race([progress.flush(), stopped]);
    stop.removeEventListener("abort", cancel);
    if (!stop.aborted) telemetry.info("the store has caught up: delivery resumes", { shardId });
  }
}

/**
 * What the handler sees beside its record. The signal is an own property, so that a copy of the context
 * has it; the fence is a copy, since the store compares the original.
 */
function contextOf({ shardId, fence }: DispatcherOptions, own: RecordSignal): HandlerContext {
  return {
    shardId,
    get signal() {
      return own.signal;
    },
    ...(fence === undefined ? {} : { fence: { ...fence } }),
  };
}

/** The handler's own message stays in the cause alone: it may quote the record. */
function handlerFailed(shardId: string, sequenceNumber: string, error: unknown): KcError {
  return new KcError(
    "HANDLER_FAILED",
    `${shardId}: the handler failed at ${sequenceNumber}: ${typeOfError(error)}`,
    { shardId, cause: error },
  );
}
