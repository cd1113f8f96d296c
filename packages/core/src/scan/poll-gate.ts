import { Stopwatch, type Clock } from "../clock.ts";
import { classify } from "../kinesis/classify.ts";
import type { RecordsPage } from "../kinesis/records-page.ts";
import { pollChannel, type PollMessage } from "../telemetry/channels.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { nextPollDelayMs, POLL_FLOOR_MS, type PollOptions } from "./pacing.ts";
import { ReadAccount, type ReadBudget, type Reservation } from "./read-budget.ts";
import { ReadQuota } from "./read-quota.ts";
import type { Wakeups } from "./wakeups.ts";

/** What all shards of a scan share when they read. */
export interface SharedReading {
  readonly budget: ReadBudget;
  readonly wakeups: Wakeups;
  readonly random: () => number;
  /** How many shards this scan reads now. */
  readonly shards: () => number;
}

/** A page, and the memory that is held for it. */
export interface PolledPage extends RecordsPage {
  /** When it came, by the monotonic clock. */
  readonly receivedAt: number;
  /** To be released once the page was handled, or is given up. */
  readonly memory: Reservation;
}

export interface PollGateOptions extends PollOptions {
  readonly shardId: string;
  /** The part of the shard's quota that this consumer may use. */
  readonly readShare: number;
  readonly shared: SharedReading;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * When one shard may be polled: as its interval, its quota and the scan's memory allow. It counts
 * what each request costs, and knows how long none was answered.
 */
export class PollGate {
  readonly #options: PollGateOptions;
  readonly #quota: ReadQuota;
  readonly #account = new ReadAccount();
  readonly #sinceLastPoll: Stopwatch;
  #polled = false;
  /** When the next page should come: the lag that was told last holds until then. */
  #dueAt: number;
  /** What the pace depends on; the page itself is the handler's, and is not kept. */
  #last: { recordsInPage: number; millisBehindLatest: number; heldBytes: number } | undefined;

  constructor(options: PollGateOptions) {
    this.#options = options;
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

  /** The shard is no longer read: all its memory is given back. */
  close(): void {
    this.#account.close();
  }

  /** How far the shard is behind its tip, if all that was read is handled. */
  lagMs(now: number): number {
    return (this.#last?.millisBehindLatest ?? 0) + this.overdueMs(now);
  }

  /** Waits until the interval says that it is time, or the signal aborts. */
  async untilDue(signal: AbortSignal): Promise<void> {
    const { shared, clock } = this.#options;
    if (this.#last === undefined) return;
    const delayMs = nextPollDelayMs(this.#options, {
      ...this.#last,
      sinceLastPollMs: this.#sinceLastPoll.elapsed(),
      shards: shared.shards(),
      chance: shared.random(),
    });
    this.#dueAt = clock.monotonic() + delayMs;
    await shared.wakeups.sleep(delayMs, signal);
  }

  /** Waits until a request that is not due would be within the quota. */
  async untilAllowed(signal: AbortSignal): Promise<void> {
    const waitMs = POLL_FLOOR_MS - this.#sinceLastPoll.elapsed();
    await this.#options.shared.wakeups.sleep(waitMs, signal);
  }

  /** One request, once quota and memory have room for it. @throws the signal's reason, what `send` throws */
  async poll(send: () => Promise<RecordsPage>, signal: AbortSignal): Promise<PolledPage> {
    const memory = await this.#admit(signal);
    this.#sinceLastPoll.restart();
    this.#polled = true;
    this.#quota.sent();
    const since = this.#options.clock.monotonic();
    try {
      return this.#accept(await this.#send(send), memory);
    } catch (error) {
      memory.release();
      if (!signal.aborted) this.#fail(error);
      throw error;
    } finally {
      const { clock, telemetry } = this.#options;
      telemetry.record("poll_duration", clock.monotonic() - since, {});
    }
  }

  /** Told about to whoever listens. */
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

  async #admit(signal: AbortSignal): Promise<Reservation> {
    const { budget, wakeups } = this.#options.shared;
    for (let waitMs = this.#quota.delayMs(); waitMs > 0; waitMs = this.#quota.delayMs()) {
      await wakeups.sleep(waitMs, signal);
      signal.throwIfAborted();
    }
    return budget.reserve(this.#account, this.#last?.heldBytes, signal);
  }

  #accept(page: RecordsPage, memory: Reservation): PolledPage {
    const { records, millisBehindLatest, attempts } = page;
    const { length: recordsInPage, heldBytes, payloadBytes } = records;
    const { shardId, telemetry } = this.#options;
    memory.hold(heldBytes);
    this.#quota.received(payloadBytes);
    this.#countHiddenRetries(attempts);
    if (recordsInPage === 0) telemetry.add("empty_polls", 1, { shardId });
    this.#last = { recordsInPage, millisBehindLatest, heldBytes };
    // The next one is asked for when the queue has room: until then the page itself tells the lag.
    this.#dueAt = this.#options.clock.monotonic();
    return { ...page, receivedAt: this.#dueAt, memory };
  }

  #fail(error: unknown): void {
    const { shardId, telemetry } = this.#options;
    const failure = classify(error);
    this.#countHiddenRetries(attemptsOf(error));
    if (failure !== "throttled") return;
    this.#quota.refused();
    telemetry.add("throttles", 1, { shardId });
  }

  /** What the SDK repeated unasked was, more often than not, refused by the quota. */
  #countHiddenRetries(attempts: number): void {
    if (attempts <= 1) return;
    const { shardId, telemetry } = this.#options;
    this.#quota.sent(attempts - 1);
    this.#quota.refused();
    telemetry.add("throttles", attempts - 1, { shardId });
  }
}

/** The requests that a failed call took, the SDK's own retries included. */
function attemptsOf(error: unknown): number {
  const metadata = (error as { readonly $metadata?: { readonly attempts?: number } }).$metadata;
  return metadata?.attempts ?? 1;
}
