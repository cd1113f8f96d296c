import { Stopwatch, type Clock } from "../clock.ts";
import { compareSequenceNumbers } from "../checkpoints/position.ts";
import { restartPosition, type ApplicationStart } from "../checkpoints/start-position.ts";
import { describeError, KcError } from "../errors.ts";
import { callFailure } from "../kinesis/call-failure.ts";
import { classify, classifyRefusal } from "../kinesis/classify.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { IteratorPosition, ShardCalls } from "../kinesis/shard-calls.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/troubles.ts";
import type { PolledPage, PollGate } from "./poll-gate.ts";
import type { Reservation } from "./read-account.ts";

/** One reply's records. */
export interface Page {
  readonly records: PageRecords;
  /** Index of the first record to deliver: the one that reading goes on at was delivered before. */
  readonly first: number;
  readonly millisBehindLatest: number;
  /** The reply had no next iterator: the shard is closed, and this was its last page. */
  readonly end: boolean;
  /** The shards that follow, in a last page; some emulators leave them out. */
  readonly children: readonly Shard[];
  /** When it came, by the monotonic clock. */
  readonly receivedAt: number;
  /** To be released once the page was handled, or is given up. */
  readonly memory: Reservation;
}

/** Records' arrival times and a reply's date may come from clocks that differ by as much. */
const SERVICE_CLOCKS_DIFFER_MS = 5 * 60_000;

/** No stream keeps its records for less. */
const LEAST_RETENTION_MS = 24 * 3_600_000;

/** LATEST means the start; an iterator that comes so much later is made from the start's time. */
const LATEST_MAY_TAKE_MS = 1000;

export interface PollingReaderOptions {
  readonly shardId: string;
  readonly start: IteratorPosition;
  readonly application: ApplicationStart;
  readonly stream: StreamClient;
  readonly gate: PollGate;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Reads one shard page by page with GetRecords. A page that was returned is accepted: an iterator
 * that expires is made anew at that page's last record, never further back, never at the tip. That
 * record comes again and is dropped: if another one comes in its place, it was trimmed.
 */
export class PollingReader {
  readonly #options: PollingReaderOptions;
  #iterator: string | undefined;
  /** Where an iterator would be made now. */
  #position: IteratorPosition;
  /** As long as no record came: the shard was empty until then, by the service's clock. */
  #emptyUntil: number | undefined;
  /** The record at that place was delivered: it is not delivered again. */
  #delivered: boolean;
  /** The record that a new iterator was made at, until a page has shown whether it is still there. */
  #expected: string | undefined;
  /** Iterators that expired one after another without a page between them. */
  #refused = 0;
  readonly #call: Call;
  /** Runs since the last reply that had nothing behind it; undefined = what was read was given up. */
  #sinceCaughtUp: Stopwatch | undefined;

  constructor(options: PollingReaderOptions) {
    const { start } = options;
    this.#options = options;
    this.#call = { service: "kinesis", operation: "GetRecords", shardId: options.shardId };
    this.#delivered = start.ShardIteratorType === "AFTER_SEQUENCE_NUMBER";
    this.#position =
      start.StartingSequenceNumber === undefined
        ? start
        : { ...start, ShardIteratorType: "AT_SEQUENCE_NUMBER" };
  }

  /**
   * The next page, when it is time for one; undefined when retention has taken the shard off the
   * stream. Passing errors are retried inside. @throws the signal's reason, KcError
   */
  async next(signal: AbortSignal): Promise<Page | undefined> {
    const { stream, shardId, gate } = this.#options;
    await gate.untilDue(signal);
    for (;;) {
      signal.throwIfAborted();
      try {
        const page = await stream.callShard(shardId, signal, (calls) =>
          gate.poll(calls, () => this.#makeIterator(calls), signal),
        );
        if (page !== undefined) return this.#accept(page);
      } catch (error) {
        signal.throwIfAborted();
        if (classify(error) === "not-found") return this.#agedOut();
        await this.#recover(error, signal);
        await gate.untilAllowed(this.#refused, signal);
      }
    }
  }

  /** What looked like the shard's end was none: read on where it stopped. */
  reopen(): void {
    this.#iterator = undefined;
  }

  /** What was read after this record was given up: read on from there. */
  rewind(sequenceNumber: string): void {
    this.#iterator = undefined;
    this.#goOnAt(sequenceNumber);
    // Whatever later replies said is not true of this place.
    this.#emptyUntil = this.#sinceCaughtUp = undefined;
  }

  #accept(page: PolledPage): Page {
    const { records, millisBehindLatest, children, receivedAt, memory } = page;
    this.#refused = 0;
    const first = this.#firstToDeliver(records);
    this.#emptyUntil = page.completeUntil ?? this.#emptyUntil;
    // Having nothing more says nothing of what may be missing before it.
    if (millisBehindLatest === 0 && (this.#expected === undefined || this.#missedNothing)) {
      this.#sinceCaughtUp = new Stopwatch(this.#options.clock);
    }
    if (records.length > 0) this.#goOnAt(records.sequenceNumber(records.length - 1));
    this.#iterator = page.nextShardIterator;
    const end = this.#iterator === undefined;
    return { records, first, millisBehindLatest, end, children, receivedAt, memory };
  }

  /** This record was delivered. */
  #goOnAt(sequenceNumber: string): void {
    this.#position = {
      ShardIteratorType: "AT_SEQUENCE_NUMBER",
      StartingSequenceNumber: sequenceNumber,
    };
    this.#delivered = true;
  }

  async #makeIterator(calls: ShardCalls): Promise<string> {
    if (this.#iterator !== undefined) return this.#iterator;
    this.#leaveOutEmpty();
    const { application } = this.#options;
    const inTime = (): boolean => application.sinceOpened.elapsed() <= LATEST_MAY_TAKE_MS;
    if (this.#position.ShardIteratorType === "LATEST" && inTime()) {
      const latest = await calls.getShardIterator(this.#position);
      // It is asked for once: what comes after it would be jumped over.
      this.#position = restartPosition(this.#position, application.row);
      if (inTime()) return (this.#iterator = latest);
    }
    this.#position = restartPosition(this.#position, application.row);
    this.#expected = this.#position.StartingSequenceNumber;
    return (this.#iterator = await calls.getShardIterator(this.#position));
  }

  /** An idle shard that has had no record is not walked through again from where it was begun. */
  #leaveOutEmpty(): void {
    const { StartingSequenceNumber, Timestamp } = this.#position;
    if (this.#emptyUntil === undefined || StartingSequenceNumber !== undefined) return;
    const from = this.#emptyUntil - SERVICE_CLOCKS_DIFFER_MS;
    if (Timestamp !== undefined && from <= Timestamp.getTime()) return;
    this.#position = { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(from) };
  }

  /** The stream client has asked a complete listing. */
  #agedOut(): undefined {
    const { shardId, telemetry } = this.#options;
    telemetry.add("trimmed", 1, { shardId });
    telemetry.error("the shard is no longer part of the stream: retention took it, read or not", {
      shardId,
    });
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { shardId, stream, telemetry } = this.#options;
    const failure = classify(error);
    if (failure === "expired-iterator") {
      this.#iterator = undefined;
      this.#refused += 1;
      telemetry.add("iterator_refreshes", 1, { shardId });
      // One that was just made has not expired: something is wrong with the service.
      if (this.#refused > 1) telemetry.troubles.failed(this.#call, error);
      return;
    }
    const sequenceNumber = this.#position.StartingSequenceNumber;
    if (failure === "invalid-argument" && this.#iterator === undefined && sequenceNumber) {
      await this.#refuseUnlessTrimmed(sequenceNumber, error, signal);
      this.#tellTrimmed("the place to go on from was trimmed", sequenceNumber);
      this.#position = { ShardIteratorType: "TRIM_HORIZON" };
      return;
    }
    if (KcError.is(error)) throw error;
    const operation = this.#iterator === undefined ? "GetShardIterator" : "GetRecords";
    throw callFailure({ operation, shardId, target: stream.target, triedForMs: 0 }, error);
  }

  /**
   * Reading goes on *at* the last record: some services answer a trimmed number with the oldest
   * record left, without a word, and that is how it shows.
   */
  #firstToDeliver(records: PageRecords): number {
    const expected = this.#expected;
    if (expected === undefined || records.length === 0) return 0;
    if (records.sequenceNumber(0) !== expected) {
      this.#tellTrimmed("the record to go on at is no longer there", expected);
      return 0;
    }
    this.#expected = undefined;
    return this.#delivered ? 1 : 0;
  }

  /** Whatever came since nothing was behind is too young to be trimmed. */
  get #missedNothing(): boolean {
    return (this.#sinceCaughtUp?.elapsed() ?? Infinity) < LEAST_RETENTION_MS;
  }

  #tellTrimmed(what: string, sequenceNumber: string): void {
    const { shardId, telemetry } = this.#options;
    this.#expected = undefined;
    if (this.#missedNothing) return;
    telemetry.add("trimmed", 1, { shardId });
    telemetry.error(
      `${what}: what followed it may have been trimmed unread, and reading goes on at the oldest ` +
        "record left",
      { shardId, sequenceNumber },
    );
  }

  /** Returns for a position that was trimmed. @throws KcError for one that is not this shard's */
  async #refuseUnlessTrimmed(
    sequenceNumber: string,
    error: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    const { shardId } = this.#options;
    const message = describeError(error);
    const refused = classifyRefusal(message);
    if (refused === "trimmed") return;
    if (refused === "unknown" && (await this.#isOfShard(sequenceNumber, signal))) return;
    const why = {
      "another-shard": "it belongs to another shard",
      "another-stream": "the stream was deleted and made anew, or it belongs to another stream",
      unknown: "it is none of this shard's",
    }[refused];
    throw new KcError(
      refused === "another-stream" ? "STREAM_RECREATED" : "CHECKPOINT_REFUSED",
      `${shardId}: reading cannot go on after ${sequenceNumber}: ${why} (${message}). Check that ` +
        `application and stream are the right ones. To give this position up, call the store's ` +
        `resetCheckpoint for this shard.`,
      { shardId, cause: error },
    );
  }

  /** A shard's numbers begin with the one in its listing: what is refused from there on was trimmed. */
  async #isOfShard(sequenceNumber: string, signal: AbortSignal): Promise<boolean> {
    const { stream, shardId } = this.#options;
    const listing = await stream.listShards(signal);
    const first = listing.find((shard) => shard.shardId === shardId)?.startingSequenceNumber;
    return first !== undefined && compareSequenceNumbers(sequenceNumber, first) >= 0;
  }
}
