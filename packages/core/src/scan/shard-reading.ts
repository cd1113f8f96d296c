import type { Fence } from "../checkpoints/store.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import type { ApplicationStart } from "../checkpoints/start-position.ts";
import type { Clock } from "../clock.ts";
import type { Handler } from "../handler.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { StreamClient } from "../kinesis/stream-client.ts";
import type { ShardStatus } from "../telemetry/status.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { Dispatcher } from "../delivery/one-by-one.ts";
import type { PollOptions } from "../reading/pacing.ts";
import { PageQueue } from "../reading/page-queue.ts";
import { PollGate, type SharedReading } from "../reading/poll-gate.ts";
import { PollingReader, type Page } from "../reading/polling-reader.ts";
import type { ReadAccount } from "../reading/read-account.ts";
import type { RecordLoop } from "../delivery/record-iterator.ts";
import type { Totals } from "./scan-log.ts";
import type { LoopTurns } from "../delivery/loop-turns.ts";

export interface ShardReadingOptions {
  readonly shardId: string;
  readonly handler: Handler;
  /** Present under a lease. */
  readonly fence: Fence | undefined;
  readonly start: IteratorPosition;
  readonly application: ApplicationStart;
  readonly poll: PollOptions & { readonly maxRecords: number; readonly readShare: number };
  readonly reading: SharedReading;
  readonly stream: StreamClient;
  readonly progress: ShardProgress;
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
  readonly turns: LoopTurns;
  readonly telemetry: Telemetry;
  readonly totals: Totals;
  /** What takes the records, if the handler only hands them on. */
  readonly loop: RecordLoop | undefined;
  /** Aborts when no further record is to be begun. */
  readonly stop: AbortSignal;
  /** Aborts when the shard is given up, with a record in hand or without. */
  readonly abandon: AbortSignal;
}

/** What the stations say of themselves. */
export type ReadingStatus = Pick<
  ShardStatus,
  "state" | "lagMs" | "handlingForMs" | "recordsInFlight" | "sinceLastPollMs" | "unreadForMs"
>;

/**
 * One shard's way from the stream to the handler: reader, pages read ahead, dispatcher. Whoever
 * opens it closes it: until then it may hold memory of the whole scan.
 */
export class ShardReading {
  readonly #account: ReadAccount;
  readonly #gate: PollGate;
  readonly #pages: PageQueue;
  readonly #dispatcher: Dispatcher;

  constructor(options: ShardReadingOptions) {
    const { poll, reading, stop } = options;
    const account = reading.budget.open();
    this.#account = account;
    this.#gate = new PollGate({ ...options, ...poll, account, shared: reading });
    const reader = new PollingReader({ ...options, gate: this.#gate });
    this.#pages = new PageQueue({ reader, account, stop });
    this.#dispatcher = new Dispatcher(options);
    account.isHandling = () => this.#dispatcher.isAtRecord;
  }

  /** As `PageQueue.next`. */
  next(): Promise<Page | undefined> {
    return this.#pages.next();
  }

  /** As `Dispatcher.deliver`. */
  deliver(page: Page): Promise<boolean> {
    return this.#dispatcher.deliver(page);
  }

  /** Reading is over, whatever ended it. Idempotent. */
  close(): void {
    this.#pages.close();
    this.#account.close();
  }

  /** What looked like the shard's end was none. */
  reopen(): void {
    this.#pages.reopen();
  }

  /** Has a request of it been answered? */
  get hasRead(): boolean {
    return this.#gate.answered;
  }

  /** Has the handler records in hand? */
  get isHandling(): boolean {
    return this.#dispatcher.handlingSince !== undefined;
  }

  /** Has it a page whose records are not all handled? It can wait with the next one. */
  get hasPage(): boolean {
    return this.#pages.oldest !== undefined;
  }

  /** How long the next page has been due. @param now by the monotonic clock */
  overdueMs(now: number): number {
    return this.#gate.overdueMs(now);
  }

  /** @param now by the monotonic clock */
  status(now: number): ReadingStatus {
    const { oldest, recordsAhead } = this.#pages;
    const { paused, handlingSince, recordsLeft } = this.#dispatcher;
    return {
      state: paused ? "paused" : handlingSince === undefined ? "reading" : "handling",
      lagMs:
        oldest === undefined
          ? this.#gate.lagMs(now)
          : oldest.millisBehindLatest + now - oldest.receivedAt,
      handlingForMs: now - (handlingSince ?? now),
      recordsInFlight: recordsLeft + recordsAhead,
      sinceLastPollMs: this.#gate.sinceLastPollMs,
      unreadForMs: oldest === undefined ? this.#gate.overdueMs(now) : 0,
    };
  }
}
