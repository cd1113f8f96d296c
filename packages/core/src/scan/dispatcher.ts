import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import { sleep, type Clock } from "../clock.ts";
import { describeError, KcError } from "../errors.ts";
import { isPromiseLike, SkipCheckpoint, type Handler, type HandlerContext } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";
import { tracedHandler } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { HandledFigures } from "./handled-figures.ts";
import type { Page } from "./polling-reader.ts";
import type { Totals } from "./scan-log.ts";
import type { Turns } from "./turns.ts";

/** The clock is read once in so many records at most: reading it costs ten times the other checks. */
const RECORDS_BETWEEN_CHECKS = 16;
/** After so long without a turn of the event loop, timers and other shards get theirs. */
const TURN_MS = 10;
/** How often a frozen lease is looked at. */
const FROZEN_CHECK_MS = 50;

export interface DispatcherOptions {
  readonly handler: Handler;
  readonly context: HandlerContext;
  readonly progress: ShardProgress;
  /** Aborts when no further record is to be started. */
  readonly stop: AbortSignal;
  /** Milliseconds left of the right to start records. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
  /** Shared by all shards of the scan. */
  readonly turns: Turns;
  readonly telemetry: Telemetry;
  /** The scan's, to be added to. */
  readonly totals: Totals;
}

/**
 * Hands a shard's records to the handler, one at a time, in order. A handler that is not async costs
 * no promise; one that never gives way is interrupted between records so that the rest can live.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #figures: HandledFigures;
  #untilCheck = 0;
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
    const { context, telemetry, clock, totals } = options;
    this.#figures = new HandledFigures(context.shardId, telemetry, clock, totals);
  }

  /** Records of the page in hand that are not handled yet, as of the last look at the clock. */
  get recordsLeft(): number {
    return this.#left;
  }

  /** Since when the handler has been at the records in hand; undefined = it has none. */
  get handlingSince(): number | undefined {
    return this.#delivering && !this.#paused ? this.#checkedAt : undefined;
  }

  /** Do records wait for the store, or for the lease? */
  get paused(): boolean {
    return this.#paused;
  }

  /** True = the page was handled, and reading goes on. @throws KcError HANDLER_FAILED, or the store's */
  async deliver(page: Page): Promise<boolean> {
    const { context, progress, stop, telemetry } = this.#options;
    const { shardId } = context;
    const { records, millisBehindLatest, first } = page;
    const figures = this.#figures;
    const handler = tracedHandler(this.#options.handler, telemetry.source);
    this.#delivering = records.length > first;
    figures.begin();
    try {
      for (let index = first; index < records.length; index += 1) {
        // Pages of several shards that arrive together take turns from their first record on.
        if (this.#untilCheck === 0 || index === first) {
          this.#left = records.length - index;
          const pause = this.#check();
          if (pause) await pause;
        }
        this.#untilCheck -= 1;
        if (stop.aborted) return false;

        const record = records.record(index, shardId, millisBehindLatest);
        figures.records += 1;
        figures.bytes += record.data.byteLength;
        let answer: unknown;
        try {
          answer = handler(record, context);
          if (isPromiseLike(answer)) answer = await answer;
        } catch (error) {
          // The handler followed the caller's own signal: a stop, and the record comes again.
          if (stop.aborted && error === stop.reason) return false;
          telemetry.add("handler_errors", 1, { shardId });
          throw handlerFailed(record, error);
        }
        if (answer !== SkipCheckpoint) {
          progress.done(record.sequenceNumber, record.subSequenceNumber);
          if (progress.writeThrough) await this.#writeThrough();
        }
      }
      // A stop that came with the last record: a shard whose end is next must not end by it, since
      // that would acknowledge a record that was given back.
      return !stop.aborted;
    } finally {
      this.#delivering = false;
      this.#left = 0;
      figures.end();
    }
  }

  /** Looks at the clock, and answers with a promise if the next record must wait. */
  #check(): Promise<void> | undefined {
    const { clock, progress, remainingMs } = this.#options;
    const now = clock.monotonic();
    const turnIsOver = now - this.#turnBegan > TURN_MS;
    // As many records as fit into what is left of the turn, going by the last ones.
    const handled = this.#checkEvery - this.#untilCheck;
    const recordMs = handled > 0 ? (now - this.#checkedAt) / handled : Infinity;
    const leftMs = turnIsOver ? TURN_MS : TURN_MS - (now - this.#turnBegan);
    const fitting = Math.max(1, Math.floor(leftMs / recordMs) || 0);
    this.#untilCheck = this.#checkEvery = Math.min(RECORDS_BETWEEN_CHECKS, fitting);
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
    const { context, telemetry } = this.#options;
    const { shardId } = context;
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
    await progress.flush();
    this.#figures.pause(clock.monotonic() - since);
  }

  /** The store lags behind: nothing new is begun until it has caught up, or the scan stops. */
  async #untilFlushed(): Promise<void> {
    const { context, progress, stop, telemetry } = this.#options;
    const { shardId } = context;
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

function handlerFailed({ shardId, sequenceNumber }: ConsumerRecord, error: unknown): KcError {
  return new KcError(
    "HANDLER_FAILED",
    `${shardId}: the handler failed at ${sequenceNumber}: ${describeError(error)}`,
    { shardId, cause: error },
  );
}
