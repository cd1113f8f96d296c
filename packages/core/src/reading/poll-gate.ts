import { backoffMs } from "../backoff.ts";
import { Stopwatch, type Clock } from "../clock.ts";
import { BACKOFF } from "../kinesis/call-retry.ts";
import { classify } from "../kinesis/classify.ts";
import { Caller } from "../kinesis/call-turn.ts";
import { NoRoomError, type RecordsPage } from "../kinesis/records-page.ts";
import type { ShardCalls } from "../kinesis/shard-calls.ts";
import { pollChannel, type PollMessage } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { nextPollDelayMs, POLL_FLOOR_MS, type PollOptions } from "./pacing.ts";
import { PageSize } from "./page-size.ts";
import type { ReadAccount, Reservation } from "./read-account.ts";
import { ReadQuota } from "./read-quota.ts";
import type { SharedReading } from "./shared-reading.ts";

/** One answered GetRecords. */
export interface PolledReply {
  readonly reply: RecordsPage;
  /** When it was complete, by the monotonic clock. */
  readonly receivedAt: number;
  /** The memory of its records. Its taker releases it. */
  readonly memory: Reservation;
}

export interface PollGateOptions extends PollOptions {
  readonly shardId: string;
  readonly maxRecords: number;
  /** The shard's memory. */
  readonly account: ReadAccount;
  /** The part of the shard's quota that this consumer may use. */
  readonly readShare: number;
  readonly shared: SharedReading;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * When one shard may be polled: as its interval, its quota and the scan's memory allow. It counts
 * what each request costs, and since when none was answered.
 */
export class PollGate {
  readonly #options: PollGateOptions;
  readonly #quota: ReadQuota;
  readonly #size: PageSize;
  readonly #caller = new Caller();
  readonly #sinceLastPoll: Stopwatch;
  #polled = false;
  /** When the next page should come: the lag of the last reply holds until then. */
  #dueAt: number;
  /** What the pace depends on. The page itself is the handler's, and is not kept. */
  #last: { recordsInPage: number; millisBehindLatest: number } | undefined;

  constructor(options: PollGateOptions) {
    this.#options = options;
    this.#size = new PageSize(options.maxRecords, options.shared.firstPages);
    this.#quota = new ReadQuota(options.clock, options.readShare);
    this.#sinceLastPoll = new Stopwatch(options.clock);
    this.#dueAt = options.clock.monotonic();
  }

  /** Since the last request began, in milliseconds; undefined = there was none. */
  get sinceLastPollMs(): number | undefined {
    return this.#polled ? this.#sinceLastPoll.elapsed() : undefined;
  }

  /** Has a request been answered? */
  get answered(): boolean {
    return this.#last !== undefined;
  }

  /** How long a page has been due. */
  overdueMs(now: number): number {
    return Math.max(0, now - this.#dueAt);
  }

  /** How far the shard is behind its tip, if all that was read is handled. */
  lagMs(now: number): number {
    return (this.#last?.millisBehindLatest ?? 0) + this.overdueMs(now);
  }

  /** Waits until the interval says that it is time, or the signal aborts. */
  async untilDue(signal: AbortSignal): Promise<void> {
    const { shared, clock } = this.#options;
    if (this.#last === undefined) return;
    shared.pace.check();
    const now = clock.monotonic();
    const delayMs = nextPollDelayMs(this.#options, {
      ...this.#last,
      sinceLastPollMs: this.#sinceLastPoll.elapsed(),
      now,
      shards: shared.shards(),
      idlePollsPerSecond: shared.pace.idlePollsPerSecond,
      chance: shared.random(),
    });
    this.#dueAt = now + delayMs;
    await shared.timer.sleep(delayMs, signal);
  }

  /**
   * Waits until a request outside the interval is within the quota, and longer after several refusals
   * in a row.
   */
  async untilAllowed(refused: number, signal: AbortSignal): Promise<void> {
    const { random, timer } = this.#options.shared;
    const quotaMs = POLL_FLOOR_MS - this.#sinceLastPoll.elapsed();
    const backoff = refused > 1 ? backoffMs(refused - 1, BACKOFF, random) : 0;
    await timer.sleep(Math.max(quotaMs, backoff), signal);
  }

  /**
   * One request, in its turn, once quota and memory have room for it. Only then is the iterator
   * requested. Undefined = there was no room for the reply. @throws the signal's reason, what the
   * calls throw
   */
  async poll(
    calls: ShardCalls,
    iterator: () => Promise<string>,
    signal: AbortSignal,
  ): Promise<PolledReply | undefined> {
    const { memory, limit } = await this.#admit(signal);
    try {
      await calls.enter(this.#caller);
      const from = await iterator();
      return this.#accept(
        await this.#request(
          () => calls.getRecords(from, limit, (bytes) => memory.fits(bytes)),
          limit,
        ),
        memory,
      );
    } catch (error) {
      memory.release();
      if (error instanceof NoRoomError) return undefined;
      throw error;
    }
  }

  /** GetRecords itself. It counts against the quota, answered or not. */
  async #request(send: () => Promise<RecordsPage>, limit: number): Promise<RecordsPage> {
    const { clock, telemetry } = this.#options;
    this.#sinceLastPoll.restart();
    this.#polled = true;
    this.#quota.sent();
    const since = clock.monotonic();
    let failed: { readonly error: string } | undefined;
    try {
      return await this.#send(send);
    } catch (error) {
      failed = { error: telemetry.errorNames.of(error) };
      this.#countHiddenRetries(attemptsOf(error));
      if (error instanceof NoRoomError) {
        this.#size.gaveUp(error.bytes, limit);
        this.#quota.received(error.bytes);
      } else if (classify(error) === "throttled") {
        this.#countThrottles(1);
      } else if (error instanceof Error && error.name === "TimeoutError") {
        this.#size.tookTooLong(limit);
      }
      throw error;
    } finally {
      telemetry.record("poll_duration", clock.monotonic() - since, failed ?? {});
    }
  }

  /** Reported to the subscribers of the channel. */
  #send(send: () => Promise<RecordsPage>): Promise<RecordsPage> {
    if (!pollChannel.hasSubscribers) return send();
    const { shardId, telemetry } = this.#options;
    const message: PollMessage = { ...telemetry.source, shardId };
    return pollChannel.tracePromise(async () => {
      const page = await send();
      message.records = page.records.length;
      message.bytes = page.records.payloadBytes;
      message.millisBehindLatest = page.millisBehindLatest;
      return page;
    }, message);
  }

  async #admit(
    signal: AbortSignal,
  ): Promise<{ readonly memory: Reservation; readonly limit: number }> {
    const { account, shared } = this.#options;
    const { pauseMs } = this.#size;
    if (pauseMs > 0) await shared.timer.sleep(pauseMs, signal);
    for (let waitMs = this.#quota.delayMs(); waitMs > 0; waitMs = this.#quota.delayMs()) {
      await shared.timer.sleep(waitMs, signal);
      signal.throwIfAborted();
    }
    const wanted = this.#size.reserveBytes;
    const memory = await account.reserve(wanted, this.#size.leastBytes, signal);
    const limit = this.#size.limitFor(memory.bytes, wanted);
    memory.least = limit === 1;
    return { memory, limit };
  }

  #accept(reply: RecordsPage, memory: Reservation): PolledReply {
    const { records, millisBehindLatest, attempts } = reply;
    const { length: recordsInPage, heldBytes, payloadBytes } = records;
    const { shardId, clock, telemetry } = this.#options;
    memory.arrived();
    this.#size.came(heldBytes, recordsInPage);
    this.#quota.received(payloadBytes);
    this.#countHiddenRetries(attempts);
    if (recordsInPage === 0) telemetry.add("empty_polls", 1, { shardId });
    this.#last = { recordsInPage, millisBehindLatest };
    // The next one is asked for when there is room ahead: until then the page itself shows the lag.
    this.#dueAt = clock.monotonic();
    return { reply, receivedAt: this.#dueAt, memory };
  }

  /** Requests that the SDK repeated by itself were most likely refused by the quota. */
  #countHiddenRetries(attempts: number): void {
    if (attempts <= 1) return;
    this.#quota.sent(attempts - 1);
    this.#countThrottles(attempts - 1);
  }

  #countThrottles(calls: number): void {
    const { shardId, telemetry } = this.#options;
    this.#quota.refused();
    telemetry.add("throttles", calls, { shardId });
  }
}

/** The requests that a failed call took, the SDK's own retries included. */
function attemptsOf(error: unknown): number {
  const metadata = (error as { readonly $metadata?: { readonly attempts?: number } }).$metadata;
  return metadata?.attempts ?? 1;
}
