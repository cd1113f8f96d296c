import { backoffMs } from "../backoff.ts";
import { Stopwatch, type Clock } from "../clock.ts";
import { BACKOFF } from "../kinesis/call-retry.ts";
import { classify } from "../kinesis/classify.ts";
import { Caller } from "../kinesis/call-permit.ts";
import { NoRoomError, type RecordsPage } from "../kinesis/records-page.ts";
import type { ShardCalls } from "../kinesis/shard-calls.ts";
import { pollChannel, type PollMessage } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { nextPollDelayMs, POLL_FLOOR_MS, type PollOptions } from "./pacing.ts";
import { PageSize } from "./page-size.ts";
import type { ReadAccount, Reservation } from "./read-account.ts";
import { ReadQuota } from "./read-quota.ts";
import type { SharedReading } from "./shared-reading.ts";

/** The reply of a successful GetRecords call. */
export interface PolledReply {
  readonly reply: RecordsPage;
  /** When the reply was complete, by the monotonic clock. */
  readonly receivedAt: number;
  /** The memory of the records. The caller must release it. */
  readonly memory: Reservation;
}

export interface PollGateOptions extends PollOptions {
  readonly shardId: string;
  readonly maxRecords: number;
  /** The shard's share of the memory. */
  readonly account: ReadAccount;
  /** The fraction of the shard's quota that this consumer may use. */
  readonly readShare: number;
  readonly shared: SharedReading;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Polls one shard when its interval, its quota and the scan's memory allow it. Counts each request against the quota,
 * and knows how long the next page has been due.
 */
export class PollGate {
  readonly #options: PollGateOptions;
  readonly #quota: ReadQuota;
  readonly #size: PageSize;
  readonly #caller = new Caller();
  readonly #sinceLastPoll: Stopwatch;
  #polled = false;
  /** When the next poll is due. Until then, the shard's lag is that of the last reply. */
  #dueAt: number;
  /** What the pace depends on. The page itself is not kept, because it belongs to the handler. */
  #last: { recordsInPage: number; millisBehindLatest: number } | undefined;

  constructor(options: PollGateOptions) {
    this.#options = options;
    this.#size = new PageSize(options.maxRecords, options.shared.firstPages);
    this.#quota = new ReadQuota(options.clock, options.readShare);
    this.#sinceLastPoll = new Stopwatch(options.clock);
    this.#dueAt = options.clock.monotonic();
  }

  /** The time since the last request began, in milliseconds; `undefined` if there was none. */
  get sinceLastPollMs(): number | undefined {
    return this.#polled ? this.#sinceLastPoll.elapsed() : undefined;
  }

  /** Whether a request has succeeded. */
  get answered(): boolean {
    return this.#last !== undefined;
  }

  /** How long the next poll has been due, in milliseconds. */
  overdueMs(now: number): number {
    return Math.max(0, now - this.#dueAt);
  }

  /** How far the shard is behind its tip if all pages that were read are handled, in milliseconds. */
  lagMs(now: number): number {
    return (this.#last?.millisBehindLatest ?? 0) + this.overdueMs(now);
  }

  /** Waits until the interval has passed, or the signal aborts. */
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
   * Waits until the quota allows a request outside the interval. Backs off if several iterators in a row expired.
   */
  async untilAllowed(expired: number, signal: AbortSignal): Promise<void> {
    const { random, timer } = this.#options.shared;
    const quotaMs = POLL_FLOOR_MS - this.#sinceLastPoll.elapsed();
    const backoff = expired > 1 ? backoffMs(expired - 1, BACKOFF, random) : 0;
    await timer.sleep(Math.max(quotaMs, backoff), signal);
  }

  /**
   * Sends one request, once there are quota, memory and a permit for it. The iterator is requested only then.
   * Returns `undefined` if there was no room for the reply. @throws the signal's reason, what the calls throw
   */
  async poll(
    calls: ShardCalls,
    iterator: () => Promise<string>,
    signal: AbortSignal,
  ): Promise<PolledReply | undefined> {
    const { memory, limit } = await this.#admit(signal);
    try {
      await calls.acquire(this.#caller);
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

  /** Calls GetRecords. It counts against the quota even if it fails. */
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
        this.#size.dropped(error.bytes, limit);
        this.#quota.received(error.bytes);
      } else if (classify(error) === "throttled") {
        this.#countThrottles(1);
      } else if (error instanceof Error && error.name === "TimeoutError") {
        this.#size.timedOut(limit);
      }
      throw error;
    } finally {
      telemetry.record("poll_duration", clock.monotonic() - since, failed ?? {});
    }
  }

  /** Sends the request, and reports it to the subscribers of the diagnostics channel. */
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

  /** Waits for quota and memory. Returns the number of records to request. */
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
    const memory = await account.reserve(wanted, this.#size.singleRecordBytes, signal);
    const limit = this.#size.limitFor(memory.bytes, wanted);
    memory.isSingleRecord = limit === 1;
    return { memory, limit };
  }

  #accept(reply: RecordsPage, memory: Reservation): PolledReply {
    const { records, millisBehindLatest, attempts } = reply;
    const { length: recordsInPage, heldBytes, payloadBytes } = records;
    const { shardId, clock, telemetry } = this.#options;
    memory.arrived();
    this.#size.arrived(heldBytes, recordsInPage);
    this.#quota.received(payloadBytes);
    this.#countHiddenRetries(attempts);
    if (recordsInPage === 0) telemetry.add("empty_polls", 1, { shardId });
    this.#last = { recordsInPage, millisBehindLatest };
    // The next page is read when the buffer has room. Until then, the lag is that of this page.
    this.#dueAt = clock.monotonic();
    return { reply, receivedAt: this.#dueAt, memory };
  }

  /** Requests that the SDK retried internally were most likely throttled. */
  #countHiddenRetries(attempts: number): void {
    if (attempts <= 1) return;
    this.#quota.sent(attempts - 1);
    this.#countThrottles(attempts - 1);
  }

  #countThrottles(calls: number): void {
    const { shardId, telemetry } = this.#options;
    this.#quota.throttled();
    telemetry.add("throttles", calls, { shardId });
  }
}

/** The number of requests of a failed call, with the SDK's internal retries. */
function attemptsOf(error: unknown): number {
  const metadata = (error as { readonly $metadata?: { readonly attempts?: number } }).$metadata;
  return metadata?.attempts ?? 1;
}
