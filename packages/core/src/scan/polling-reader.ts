import { Stopwatch, type Clock } from "../clock.ts";
import { compareSequenceNumbers } from "../checkpoints/position.ts";
import { restartPosition, type ApplicationStart } from "../checkpoints/start-position.ts";
import { describeError, KcError } from "../errors.ts";
import { classify, classifyRefusal } from "../kinesis/classify.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { RecordsPage } from "../kinesis/records-page.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { IteratorPosition, StreamClient } from "../kinesis/stream-client.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { nextPollDelayMs, POLL_FLOOR_MS, type PollOptions } from "./pacing.ts";
import type { ReadAccount, ReadBudget, Reservation } from "./read-budget.ts";
import { ReadQuota } from "./read-quota.ts";
import type { Wakeups } from "./wakeups.ts";

/** One reply's records. */
export interface Page {
  readonly records: PageRecords;
  /** Index of the first record to deliver: the checkpoint's own comes first, and was. */
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

/** What all shards of a scan share when they read. */
export interface SharedReading {
  readonly budget: ReadBudget;
  readonly wakeups: Wakeups;
  readonly random: () => number;
  /** How many shards this scan reads now. */
  readonly shards: () => number;
}

/** LATEST means the start; an iterator that comes so much later is made from the start's time. */
const LATEST_MAY_TAKE_MS = 1000;

export interface PollingReaderOptions extends PollOptions {
  readonly shardId: string;
  readonly start: IteratorPosition;
  readonly application: ApplicationStart;
  readonly maxRecords: number;
  /** The part of the shard's quota that this consumer may use. */
  readonly readShare: number;
  readonly stream: StreamClient;
  readonly shared: SharedReading;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Reads one shard page by page with GetRecords, as fast as its interval, its quota and the scan's
 * memory allow. A page that was returned is accepted: an iterator
 * that expires is made anew after that page's last record, never further back, never at the tip.
 */
export class PollingReader {
  readonly #options: PollingReaderOptions;
  readonly #quota: ReadQuota;
  readonly #account: ReadAccount = { held: 0 };
  readonly #sinceLastPoll: Stopwatch;
  #polled = false;
  /** When the next page should come: the lag that was told last holds until then. */
  #dueAt: number;
  #error: string | undefined;
  #iterator: string | undefined;
  /** Where an iterator would be made now. */
  #position: IteratorPosition;
  /** The checkpoint's own record, until the first page has shown whether it is still there. */
  #checkpointed: string | undefined;
  /** What the pace depends on; the page itself is the handler's, and is not kept. */
  #lastPage:
    | {
        readonly recordsInPage: number;
        readonly millisBehindLatest: number;
        readonly heldBytes: number;
      }
    | undefined;

  constructor(options: PollingReaderOptions) {
    const { start } = options;
    this.#options = options;
    this.#checkpointed = start.StartingSequenceNumber;
    this.#position =
      start.StartingSequenceNumber === undefined
        ? start
        : { ...start, ShardIteratorType: "AT_SEQUENCE_NUMBER" };
    this.#quota = new ReadQuota(options.clock, options.readShare);
    this.#sinceLastPoll = new Stopwatch(options.clock);
    this.#dueAt = options.clock.monotonic();
  }

  /** Since the last GetRecords began, in milliseconds; undefined = there was none. */
  get sinceLastPollMs(): number | undefined {
    return this.#polled ? this.#sinceLastPoll.elapsed() : undefined;
  }

  /** Why the last try failed; undefined = it did not. */
  get error(): string | undefined {
    return this.#error;
  }

  /** How far the reading is behind the tip, if all that was read is handled. */
  lagMs(now: number): number {
    return (this.#lastPage?.millisBehindLatest ?? 0) + Math.max(0, now - this.#dueAt);
  }

  /**
   * The next page, when it is time for one; undefined when retention has taken the shard off the
   * stream. Passing errors are retried inside. @throws the signal's reason, KcError
   */
  async next(signal: AbortSignal): Promise<Page | undefined> {
    const { stream, shardId, maxRecords, shared } = this.#options;
    let memory: Reservation | undefined;
    const poll = async (send: () => Promise<RecordsPage>): Promise<RecordsPage> => {
      memory = await this.#admit(signal);
      return this.#count(send, memory);
    };
    await this.#untilNextPoll(signal);
    for (;;) {
      signal.throwIfAborted();
      try {
        this.#iterator ??= await this.#makeIterator(signal);
        const page = await stream.getRecords(shardId, this.#iterator, maxRecords, signal, poll);
        return this.#accept(page, memory!);
      } catch (error) {
        signal.throwIfAborted();
        if (classify(error) === "not-found" && (await this.#agedOut(signal))) return undefined;
        await this.#recover(error, signal);
        // A service that refuses each new iterator alike is asked within the quota.
        await shared.wakeups.sleep(POLL_FLOOR_MS - this.#sinceLastPoll.elapsed(), signal);
      }
    }
  }

  /** What looked like the shard's end was none: read on where it stopped. */
  reopen(): void {
    this.#iterator = undefined;
  }

  async #untilNextPoll(signal: AbortSignal): Promise<void> {
    const { wakeups, random, shards } = this.#options.shared;
    if (this.#lastPage === undefined) return;
    const delayMs = nextPollDelayMs(this.#options, {
      ...this.#lastPage,
      sinceLastPollMs: this.#sinceLastPoll.elapsed(),
      shards: shards(),
      chance: random(),
    });
    this.#dueAt = this.#options.clock.monotonic() + delayMs;
    await wakeups.sleep(delayMs, signal);
  }

  /** Waits until the shard's quota and the scan's memory have room for a page. */
  async #admit(signal: AbortSignal): Promise<Reservation> {
    const { budget, wakeups } = this.#options.shared;
    for (let waitMs = this.#quota.delayMs(); waitMs > 0; waitMs = this.#quota.delayMs()) {
      await wakeups.sleep(waitMs, signal);
      signal.throwIfAborted();
    }
    return budget.reserve(this.#account, this.#lastPage?.heldBytes, signal);
  }

  /** One request, and what it costs. */
  async #count(send: () => Promise<RecordsPage>, memory: Reservation): Promise<RecordsPage> {
    this.#sinceLastPoll.restart();
    this.#polled = true;
    this.#quota.sent();
    try {
      const page = await send();
      this.#error = undefined;
      memory.hold(page.records.heldBytes);
      this.#quota.received(page.records.payloadBytes);
      this.#countHiddenRetries(page.attempts);
      return page;
    } catch (error) {
      this.#error = describeError(error);
      memory.release();
      this.#countHiddenRetries(attemptsOf(error));
      if (classify(error) === "throttled") this.#quota.refused();
      throw error;
    }
  }

  /** What the SDK repeated unasked was, more often than not, refused by the quota. */
  #countHiddenRetries(attempts: number): void {
    if (attempts <= 1) return;
    this.#quota.sent(attempts - 1);
    this.#quota.refused();
  }

  #accept(page: RecordsPage, memory: Reservation): Page {
    const { records, millisBehindLatest, children } = page;
    const first = this.#firstToDeliver(records);
    if (records.length > 0) {
      const last = records.sequenceNumber(records.length - 1);
      this.#position = { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: last };
    }
    this.#iterator = page.nextShardIterator;
    const { length: recordsInPage, heldBytes } = records;
    this.#lastPage = { recordsInPage, millisBehindLatest, heldBytes };
    const end = this.#iterator === undefined;
    const receivedAt = this.#options.clock.monotonic();
    // The next one is asked for when the queue has room: until then the page itself tells the lag.
    this.#dueAt = receivedAt;
    return { records, first, millisBehindLatest, end, children, receivedAt, memory };
  }

  async #makeIterator(signal: AbortSignal): Promise<string> {
    const { stream, shardId, application } = this.#options;
    const iterator = await stream.getShardIterator(shardId, this.#position, signal);
    if (this.#position.ShardIteratorType !== "LATEST") return iterator;
    this.#position = restartPosition(this.#position, application.row);
    return application.sinceOpened.elapsed() <= LATEST_MAY_TAKE_MS
      ? iterator
      : stream.getShardIterator(shardId, this.#position, signal);
  }

  /** Judged by a complete listing alone. If the stream is gone too, that is the error. */
  async #agedOut(signal: AbortSignal): Promise<boolean> {
    const { stream, shardId, telemetry } = this.#options;
    const listing = await stream.listShards(signal);
    if (listing.some((shard) => shard.shardId === shardId)) return false;
    telemetry.add("trimmed", 1, { shardId });
    telemetry.error("the shard is no longer part of the stream: retention took it, read or not", {
      shardId,
    });
    return true;
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { shardId, telemetry } = this.#options;
    const failure = classify(error);
    if (failure === "expired-iterator") {
      this.#iterator = undefined;
      telemetry.add("iterator_refreshes", 1, { shardId });
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
    throw new KcError("KINESIS_FAILED", `${shardId}: ${describeError(error)}`, {
      shardId,
      cause: error,
    });
  }

  /**
   * A checkpoint is resumed *at* its record: some services answer a trimmed number with the oldest
   * record left, without a word, and that is how it shows.
   */
  #firstToDeliver(records: PageRecords): number {
    const expected = this.#checkpointed;
    if (expected === undefined || records.length === 0) return 0;
    if (records.sequenceNumber(0) !== expected) {
      this.#tellTrimmed("the checkpoint's record is no longer there", expected);
      return 0;
    }
    this.#checkpointed = undefined;
    return this.#options.start.ShardIteratorType === "AFTER_SEQUENCE_NUMBER" ? 1 : 0;
  }

  #tellTrimmed(what: string, sequenceNumber: string): void {
    const { shardId, telemetry } = this.#options;
    this.#checkpointed = undefined;
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

/** The requests that a failed call took, the SDK's own retries included. */
function attemptsOf(error: unknown): number {
  const metadata = (error as { readonly $metadata?: { readonly attempts?: number } }).$metadata;
  return metadata?.attempts ?? 1;
}
