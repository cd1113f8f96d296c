import { positionOf } from "../checkpoints/position.ts";
import { isPromiseLike, SkipCheckpoint, type Handler } from "../handler.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { Page } from "../reading/shard-reader.ts";
import { tracedHandler } from "../telemetry/channels.ts";
import type { DeliveredShard, Delivery, DeliveryStatus, OpenDelivery } from "./delivery.ts";
import { HandledMetrics } from "./handled-metrics.ts";
import { HandlerCall, handlerFailed } from "./handler-call.ts";
import type { RecordLoop } from "./record-iterator.ts";
import { RecordSignals } from "./record-signal.ts";
import { StartGate } from "./start-gate.ts";
import { Tracker } from "./tracker.ts";

/** @param loop the loop over the records, if the handler only passes them on to one */
export function oneByOne(handler: Handler, loop: RecordLoop | undefined): OpenDelivery {
  return (shard) => new OneByOne(handler, loop, shard);
}

/**
 * Passes a shard's records to the handler one at a time, in order. The next page is accepted when this
 * one is handled. A synchronous handler costs no promise.
 */
class OneByOne implements Delivery {
  readonly #shard: DeliveredShard;
  readonly #loop: RecordLoop | undefined;
  readonly #metrics: HandledMetrics;
  readonly #gate: StartGate;
  readonly #signals: RecordSignals;
  readonly #call: HandlerCall;
  readonly #handler: Handler;
  readonly #tracker: Tracker;
  /** The page whose records are being handled. */
  #page: Page | undefined;

  constructor(handler: Handler, loop: RecordLoop | undefined, shard: DeliveredShard) {
    this.#shard = shard;
    this.#loop = loop;
    this.#metrics = new HandledMetrics(shard);
    this.#gate = new StartGate(shard, this.#metrics);
    this.#signals = new RecordSignals(shard);
    this.#call = new HandlerCall(shard, this.#signals);
    this.#handler = handler;
    this.#tracker = new Tracker(shard.progress);
  }

  async accept(page: Page): Promise<void> {
    const { stop } = this.#shard;
    const records = this.#tracker.accept(page);
    if (page.records.left > 0) this.#page = page;
    this.#metrics.begin();
    try {
      await this.#handle(records);
      this.#tracker.endPage();
      // The stop may have arrived with the last record. The shard must not end then: that would
      // acknowledge a record that was given back.
      stop.throwIfAborted();
    } finally {
      this.#page = undefined;
      this.#call.end();
      this.#signals.close();
      this.#metrics.end();
    }
  }

  /** `accept` resolves only when its records are handled, so there is nothing to wait for. */
  async settle(): Promise<void> {}

  status(now: number): DeliveryStatus {
    const { pausedBy } = this.#gate;
    const since = this.#handlingSince;
    return {
      state: pausedBy !== undefined ? "paused" : since === undefined ? "idle" : "handling",
      pausedBy,
      retry: undefined,
      keysHeldUp: 0,
      handlingForMs: now - (since ?? now),
      recordsInFlight: this.#page?.records.left ?? 0,
      oldest: this.#tracker.oldest,
      isAtRecord:
        pausedBy === "user" ||
        (since !== undefined && (this.#loop?.isAt(this.#shard.shardId) ?? true)),
    };
  }

  /** Called after `accept` has settled: no record is in flight. */
  async close(): Promise<void> {
    this.#tracker.close();
  }

  async #handle(records: RecordCursor): Promise<void> {
    const { shardId, stop, progress, telemetry } = this.#shard;
    const handler = tracedHandler(this.#handler, { ...telemetry.source, shardId });
    const gate = this.#gate;
    const call = this.#call;
    const metrics = this.#metrics;
    const tracker = this.#tracker;
    // True for the first record, so that pages of several shards that arrive together take turns.
    let checkClock = true;
    let ordinal = -1;
    while (records.left > 0) {
      const wait = gate.ask(checkClock);
      if (wait) await wait;
      stop.throwIfAborted();

      const record = records.current();
      if (record === undefined) return;
      const { sequenceNumber, subSequenceNumber } = record;
      metrics.count(record);
      if (ordinal < 0) {
        const { approximateArrivalMs: arrivalMs } = record;
        const ends = records.endsStreamRecord;
        ordinal = tracker.start(sequenceNumber, subSequenceNumber, ends, arrivalMs);
      }
      let answer: unknown;
      try {
        answer = call.begin(handler, record, 1);
        checkClock = isPromiseLike(answer);
        if (checkClock) answer = await answer;
      } catch (error) {
        const at = positionOf({ sequenceNumber, subSequenceNumber });
        if (!call.hasExpired(at, error)) throw handlerFailed(shardId, at, error);
        // The gate waits until the lease is renewed or the shard stops.
        checkClock = true;
        continue;
      }
      records.advance();
      if (answer === SkipCheckpoint) tracker.skipped(ordinal);
      else {
        tracker.done(ordinal);
        if (progress.writeThrough) {
          await gate.untilWritten();
          checkClock = true;
        }
      }
      ordinal = -1;
    }
  }

  /** Since when the handler has been running; undefined = it is not. */
  get #handlingSince(): number | undefined {
    if (this.#page === undefined || this.#gate.pausedBy !== undefined) return undefined;
    return Math.max(this.#gate.checkedAt, this.#loop?.tookAt ?? -Infinity);
  }
}
