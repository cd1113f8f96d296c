import type { _Record as SdkRecord } from "@aws-sdk/client-kinesis";
import type { Checkpoint } from "../checkpoints/position.ts";
import { ShardProgress } from "../checkpoints/shard-progress.ts";
import type { Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";
import { KcError } from "../errors.ts";
import { ShardAggregates, type Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import { Distribution } from "../kinesis/distribution.ts";
import { DecodedRecords } from "../kinesis/page-records.ts";
import { PageCursor } from "../reading/record-cursor.ts";
import type { Page, PageMemory } from "../reading/shard-reader.ts";
import { SharedTimer } from "../shared-timer.ts";
import type { Counter } from "../telemetry/counter.ts";
import type { Logger } from "../telemetry/logger.ts";
import { Telemetry } from "../telemetry/telemetry.ts";
import type { LetterSource } from "./letters/dead-letter.ts";
import type { Delivery, OpenDelivery } from "./delivery.ts";
import { LoopTurns } from "./loop-turns.ts";
import { Pauses } from "./pauses.ts";

/** The caller owns the records and keeps them in memory until they are handled. */
const CALLERS_MEMORY: PageMemory = {
  taken: () => {},
  hold: () => false,
  shrinkTo: () => {},
  release: () => {},
};

export interface PushedDeliveryOptions {
  readonly source: LetterSource;
  readonly deaggregate: Deaggregate;
  readonly counter: Counter | undefined;
  readonly logger: Logger | undefined;
  readonly clock: Clock;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
}

/** Records of one shard that the caller has read. */
export interface PushedRecords {
  readonly shardId: string;
  /** At least one, in the order of the shard. */
  readonly records: readonly SdkRecord[];
  readonly millisBehindLatest: number;
  /** Aborts when no further record may start. */
  readonly stop: AbortSignal;
  /** Aborts when the delivery no longer waits for handlers. Their own signals abort too. */
  readonly abandon: AbortSignal;
  /** How long to wait for a handler that should have returned, in milliseconds. */
  readonly drainTimeoutMs: number;
}

/**
 * Delivers records that the caller has read, as a scan delivers those that it reads itself. There is no
 * store: `deliver` returns how far the work has come, and the caller keeps that.
 */
export class PushedDelivery {
  readonly #open: OpenDelivery;
  readonly #options: PushedDeliveryOptions;
  readonly #telemetry: Telemetry;
  readonly #turns: LoopTurns;
  readonly #timer: SharedTimer;
  readonly #pauses = new Pauses();
  readonly #totals = { records: 0, bytes: 0 };
  /** Abandoned deliveries whose handlers are still running, by shard. */
  readonly #unfinished = new Map<string, Promise<unknown>>();

  constructor(open: (source: LetterSource) => OpenDelivery, options: PushedDeliveryOptions) {
    const { source, counter, logger, clock } = options;
    const { streamName: stream, application } = source;
    this.#open = open(source);
    this.#options = options;
    this.#telemetry = new Telemetry({ counter, logger }, { stream, application }, clock);
    this.#turns = new LoopTurns(clock);
    this.#timer = new SharedTimer(clock);
  }

  /**
   * Returns the sequence number of the first record that is not done; undefined if all are. Later records
   * may be done too. Resolves when all are done, when a failed record ends the delivery, or after `stop`
   * once the handlers have returned, but at the latest when `abandon` aborts.
   * @throws KcError that no record has caused, such as that of an async decoder
   */
  async deliver(pushed: PushedRecords): Promise<string | undefined> {
    const { shardId, records, abandon } = pushed;
    const progress = this.#progressOf(shardId);
    const failed = new AbortController();
    const stop = AbortSignal.any([pushed.stop, failed.signal]);
    const fail = (error: unknown): void => {
      if (stop.aborted && error === stop.reason) return;
      this.#telemetry.error("the delivery of a shard's records ends with an error", {
        shardId,
        error,
      });
      failed.abort(error);
    };
    const work = this.#work(pushed, stop, fail, progress);
    await Promise.race([work, aborted(abandon)]);
    if (abandon.aborted) this.#keepUntilSettled(shardId, work);
    const undone = firstUndone(records, progress.position);
    progress.close(new Error("the delivery has ended"));
    if (failed.signal.aborted && !isHandlerError(failed.signal.reason)) throw failed.signal.reason;
    if (undone !== undefined && pushed.stop.aborted) {
      this.#telemetry.warn("the time is nearly over: records are given back", {
        shardId,
        sequenceNumber: undone,
      });
    }
    return undone;
  }

  async #work(
    pushed: PushedRecords,
    stop: AbortSignal,
    fail: (error: unknown) => void,
    progress: ShardProgress,
  ): Promise<void> {
    await this.#untilFree(pushed, stop);
    if (stop.aborted) return;
    const delivery = this.#openDelivery(pushed, stop, fail, progress);
    try {
      await delivery.accept(this.#page(pushed));
      await delivery.settle();
    } catch (error) {
      fail(error);
    } finally {
      await delivery.close();
    }
  }

  /** An abandoned handler may still be running for the shard: waits some time for it to return. */
  async #untilFree({ shardId, drainTimeoutMs }: PushedRecords, stop: AbortSignal): Promise<void> {
    const unfinished = this.#unfinished.get(shardId);
    if (unfinished === undefined) return;
    const returned = new AbortController();
    void unfinished.then(() => returned.abort());
    await this.#timer.sleep(drainTimeoutMs / 2, AbortSignal.any([stop, returned.signal]));
    if (stop.aborted || returned.signal.aborted) return;
    this.#telemetry.warn("an abandoned handler has not returned: it is not waited for any longer", {
      shardId,
    });
    this.#unfinished.delete(shardId);
  }

  #openDelivery(
    { shardId, abandon, drainTimeoutMs }: PushedRecords,
    stop: AbortSignal,
    fail: (error: unknown) => void,
    progress: ShardProgress,
  ): Delivery {
    const { clock, random } = this.#options;
    return this.#open({
      shardId,
      fence: undefined,
      progress,
      stop,
      abandon,
      fail,
      remainingMs: undefined,
      clock,
      serviceNow: () => new Date(clock.now()),
      // The caller does not say how long the stream retains its records.
      retentionMs: () => undefined,
      random,
      drainTimeoutMs,
      turns: this.#turns,
      timer: this.#timer,
      pauses: this.#pauses,
      telemetry: this.#telemetry,
      totals: this.#totals,
    });
  }

  #page({ shardId, records, millisBehindLatest }: PushedRecords): Page {
    const cursor = new PageCursor(
      new DecodedRecords(records),
      shardId,
      millisBehindLatest,
      this.#aggregatesOf(shardId),
    );
    return {
      records: cursor,
      arrivalMs: cursor.arrivalMs,
      lastSequenceNumber: records.at(-1)?.SequenceNumber,
      millisBehindLatest,
      receivedAt: this.#options.clock.monotonic(),
      end: undefined,
      memory: CALLERS_MEMORY,
    };
  }

  #aggregatesOf(shardId: string): ShardAggregates | undefined {
    const { deaggregate, clock } = this.#options;
    if (deaggregate === false) return undefined;
    return new ShardAggregates({
      shardId,
      // Without a range all user records of an aggregate belong to the shard.
      hashKeyRange: () => undefined,
      deaggregate,
      distribution: new Distribution(clock),
      telemetry: this.#telemetry,
    });
  }

  /** Progress that is never written to a store: it only tracks what is done. */
  #progressOf(shardId: string): ShardProgress {
    return new ShardProgress({
      shardId,
      fence: undefined,
      acknowledged: undefined,
      firstNumber: () => undefined,
      maxAheadBytes: 0,
      writeThrough: false,
      phaseMs: 0,
      maxUnflushedMs: Infinity,
      clock: this.#options.clock,
      onDirty: () => {},
      onFlush: () => {},
    });
  }

  #keepUntilSettled(shardId: string, work: Promise<void>): void {
    const unfinished = Promise.all([this.#unfinished.get(shardId), work]);
    this.#unfinished.set(shardId, unfinished);
    void unfinished.then(() => {
      if (this.#unfinished.get(shardId) === unfinished) this.#unfinished.delete(shardId);
    });
  }
}

function firstUndone(
  records: readonly SdkRecord[],
  position: Checkpoint | undefined,
): string | undefined {
  if (position?.kind !== "position") return records[0]?.SequenceNumber;
  // By its place in the list, not by comparison: the caller sends the records from there on again.
  const place = records.findIndex(
    ({ SequenceNumber: number }) => number === position.sequenceNumber,
  );
  const isWhole = position.subSequenceNumber === undefined;
  return records[isWhole ? place + 1 : place]?.SequenceNumber;
}

function isHandlerError(error: unknown): boolean {
  return KcError.is(error) && error.code === "HANDLER_FAILED";
}
