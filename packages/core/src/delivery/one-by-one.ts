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

/** @param loop what takes the records, if the handler only hands them on */
export function oneByOne(handler: Handler, loop: RecordLoop | undefined): OpenDelivery {
  return (shard) => new OneByOne(handler, loop, shard);
}

/**
 * Brings a shard's records to the handler one at a time, in order. There is room for the next page
 * when this one is handled. A handler that is not async costs no promise.
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
  /** The page in hand. */
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
      this.#tracker.pageOver();
      // A stop that came with the last record: a shard whose end is next must not end by it, since
      // that would acknowledge a record that was given back.
      stop.throwIfAborted();
    } finally {
      this.#page = undefined;
      this.#call.end();
      this.#signals.close();
      this.#metrics.end();
    }
  }

  /** Whatever was accepted is handled. */
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

  /** `accept` is over: no record is in hand. */
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
    // Pages of several shards that arrive together take turns from their first record on.
    let look = true;
    let ordinal = -1;
    while (records.left > 0) {
      const wait = gate.ask(look);
      if (wait) await wait;
      stop.throwIfAborted();

      const record = records.current();
      if (record === undefined) return;
      const { sequenceNumber, subSequenceNumber } = record;
      metrics.records += 1;
      metrics.bytes += record.data.byteLength;
      if (ordinal < 0) {
        ordinal = tracker.start(sequenceNumber, subSequenceNumber, records.endsStreamRecord);
      }
      let answer: unknown;
      try {
        answer = call.begin(handler, record, 1);
        look = isPromiseLike(answer);
        if (look) answer = await answer;
      } catch (error) {
        const at = positionOf({ sequenceNumber, subSequenceNumber });
        if (!call.hasExpired(at, error)) throw handlerFailed(shardId, at, error);
        // The gate waits for the lease, or the shard stops.
        look = true;
        continue;
      }
      records.advance();
      if (answer === SkipCheckpoint) tracker.skipped(ordinal);
      else {
        tracker.done(ordinal);
        if (progress.writeThrough) {
          await gate.untilWritten();
          look = true;
        }
      }
      ordinal = -1;
    }
  }

  /** Undefined = no record is in hand, or those in hand wait. */
  get #handlingSince(): number | undefined {
    if (this.#page === undefined || this.#gate.pausedBy !== undefined) return undefined;
    return Math.max(this.#gate.lookedAt, this.#loop?.tookAt ?? -Infinity);
  }
}
