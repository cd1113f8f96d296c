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

/** The records are their owner's, who keeps them until they are handled. */
const OWNERS_MEMORY: PageMemory = {
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

/** Records of one shard that somebody else has read. */
export interface PushedRecords {
  readonly shardId: string;
  /** One or more, in the order of the shard. */
  readonly records: readonly SdkRecord[];
  readonly millisBehindLatest: number;
  /** Aborts when no further record is to start. */
  readonly stop: AbortSignal;
  /** Aborts when handlers are not waited for any longer. Their own signals abort too. */
  readonly abandon: AbortSignal;
  /** How long a handler is waited for that should have returned, in milliseconds. */
  readonly drainTimeoutMs: number;
}

/**
 * Brings records that were not read here to a handler, as a scan brings its own. There is no store: the
 * outcome says how far the work has come, and whoever sent the records keeps that.
 */
export class PushedDelivery {
  readonly #open: OpenDelivery;
  readonly #options: PushedDeliveryOptions;
  readonly #telemetry: Telemetry;
  readonly #turns: LoopTurns;
  readonly #timer: SharedTimer;
  readonly #pauses = new Pauses();
  readonly #totals = { records: 0, bytes: 0 };
  /** Work that was given up while a handler had a record, by shard. */
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
   * The number of the first record that is not done; undefined = all are. Records behind it may be done.
   * Resolves when all are done, when one is given up that ends the delivery, or after `stop` once the
   * handlers have returned, but at `abandon` in any case.
   * @throws KcError that is no record's fault, such as that of an async decoder
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
    if (abandon.aborted) this.#keepUntilOver(shardId, work);
    const undone = firstUndone(records, progress.position);
    progress.close(new Error("the delivery is over"));
    if (failed.signal.aborted && !isHandlers(failed.signal.reason)) throw failed.signal.reason;
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

  /** A handler that was given up may still have a record of the shard. It has some time to return. */
  async #untilFree({ shardId, drainTimeoutMs }: PushedRecords, stop: AbortSignal): Promise<void> {
    const unfinished = this.#unfinished.get(shardId);
    if (unfinished === undefined) return;
    const returned = new AbortController();
    void unfinished.then(() => returned.abort());
    await this.#timer.sleep(drainTimeoutMs / 2, AbortSignal.any([stop, returned.signal]));
    if (stop.aborted || returned.signal.aborted) return;
    this.#telemetry.warn("a handler that was given up has not returned: it is not waited for", {
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
      // Whoever pushes records does not say how long they are kept.
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
    return {
      records: new PageCursor(
        new DecodedRecords(records),
        shardId,
        millisBehindLatest,
        this.#aggregatesOf(shardId),
      ),
      lastSequenceNumber: records.at(-1)?.SequenceNumber,
      millisBehindLatest,
      receivedAt: this.#options.clock.monotonic(),
      end: undefined,
      memory: OWNERS_MEMORY,
    };
  }

  #aggregatesOf(shardId: string): ShardAggregates | undefined {
    const { deaggregate, clock } = this.#options;
    if (deaggregate === false) return undefined;
    return new ShardAggregates({
      shardId,
      // Without it all user records of an aggregate are the shard's.
      hashKeyRange: () => undefined,
      deaggregate,
      distribution: new Distribution(clock),
      telemetry: this.#telemetry,
    });
  }

  /** Nobody writes it: it only counts. */
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

  #keepUntilOver(shardId: string, work: Promise<void>): void {
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
  // By its place: whoever sent the records sends from there on again, whatever their numbers are.
  const place = records.findIndex(
    ({ SequenceNumber: number }) => number === position.sequenceNumber,
  );
  const isWhole = position.subSequenceNumber === undefined;
  return records[isWhole ? place + 1 : place]?.SequenceNumber;
}

function isHandlers(error: unknown): boolean {
  return KcError.is(error) && error.code === "HANDLER_FAILED";
}
