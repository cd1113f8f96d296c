import { backoffMs } from "../../backoff.ts";
import type { Clock } from "../../clock.ts";
import type { SharedTimer } from "../../shared-timer.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { DeadLetter, DeadLetterQueue } from "./dead-letter.ts";

/** The backoff between attempts. */
const BACKOFF = { baseMs: 100, maxMs: 30_000 };
/** The timeout of one attempt, in milliseconds. */
const ATTEMPT_TIMEOUT_MS = 30_000;
/** The most letters of one call, and the most bytes of their data. A single letter may have more. */
const MAX_LETTERS_PER_CALL = 500;
const MAX_BYTES_PER_CALL = 4 * 1024 * 1024;

export interface DeadLetterSenderOptions {
  readonly shardId: string;
  readonly queue: DeadLetterQueue;
  /** Aborts when no further attempt may start. */
  readonly stop: AbortSignal;
  /** Aborts when the shard is abandoned: the running attempt ends. */
  readonly abandon: AbortSignal;
  /** How long the running attempt may take after `stop` has aborted, in milliseconds. */
  readonly lastAttemptMs: number;
  readonly clock: Clock;
  readonly timer: SharedTimer;
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** A letter that was not acknowledged yet. */
export interface PendingLetter {
  /** The size of its data. */
  readonly bytes: number;
  /** Creates the letter when it is sent. */
  readonly letter: () => DeadLetter;
  /** Called when the queue has acknowledged the letter. */
  readonly onSent: () => void;
}

/**
 * Sends the letters of one shard to the dead-letter queue, one call at a time, and retries each call until
 * the queue has acknowledged it. Letters that arrive together go in one call. An unavailable queue is
 * reported as one failing call of the application, however many shards have letters for it.
 */
export class DeadLetterSender {
  readonly #options: DeadLetterSenderOptions;
  readonly #call = { service: "dead-letters", operation: "sendDeadLetters" } as const;
  /** The letters that are not acknowledged, in order. */
  #waiting: PendingLetter[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: DeadLetterSenderOptions) {
    this.#options = options;
  }

  /** Queues a letter. Its `onSent` is never called if the shard stops first. */
  send(pending: PendingLetter): void {
    this.#waiting.push(pending);
    this.#sending ??= this.#sendAll();
  }

  /** Resolves when no call is running: soon, after a stop. */
  async untilIdle(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    const { clock, stop, telemetry } = this.#options;
    let failures = 0;
    // Letters of records that fail together are sent in one call.
    await clock.yield();
    while (this.#waiting.length > 0 && !stop.aborted) {
      const sent = this.#waiting.slice(0, this.#nextCallSize());
      try {
        await this.#try(sent.map(({ letter }) => letter()));
      } catch (error) {
        if (stop.aborted) break;
        failures += 1;
        telemetry.failingCalls.failed(this.#call, error, { shardId: this.#options.shardId });
        await this.#pause(failures);
        continue;
      }
      failures = 0;
      telemetry.failingCalls.answered(this.#call);
      this.#waiting = this.#waiting.slice(sent.length);
      for (const { onSent } of sent) onSent();
    }
    if (failures > 0) telemetry.failingCalls.dropped(this.#call);
    this.#sending = undefined;
  }

  /** The number of letters in the next call. */
  #nextCallSize(): number {
    let bytes = 0;
    const excess = this.#waiting.findIndex((pending, index) => {
      bytes += pending.bytes;
      return index > 0 && (index >= MAX_LETTERS_PER_CALL || bytes > MAX_BYTES_PER_CALL);
    });
    return excess < 0 ? this.#waiting.length : excess;
  }

  /** Makes one call. @throws its error, or the reason of its abort, even if the queue ignores the signal */
  async #try(letters: readonly DeadLetter[]): Promise<void> {
    const { queue, stop, abandon, lastAttemptMs, timer } = this.#options;
    const controller = new AbortController();
    const { signal } = controller;
    const abort = (reason: unknown): void => controller.abort(reason);
    const cancels = [
      timer.after(ATTEMPT_TIMEOUT_MS, () => abort(new QueueTimeoutError(ATTEMPT_TIMEOUT_MS))),
    ];
    const onAbandon = (): void => abort(abandon.reason);
    const onStop = (): void => {
      cancels.push(timer.after(lastAttemptMs, () => abort(stop.reason)));
    };
    abandon.addEventListener("abort", onAbandon, { once: true });
    stop.addEventListener("abort", onStop, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        // In an async function, since a queue may throw synchronously.
        (async () => queue.send(letters, { signal }))().then(resolve, reject);
      });
    } finally {
      abandon.removeEventListener("abort", onAbandon);
      stop.removeEventListener("abort", onStop);
      for (const cancel of cancels) cancel();
    }
  }

  async #pause(failures: number): Promise<void> {
    const { timer, random, stop } = this.#options;
    await timer.sleep(backoffMs(failures, BACKOFF, random), stop);
  }
}

class QueueTimeoutError extends Error {
  constructor(ms: number) {
    super(`the dead-letter queue has not answered within ${ms} ms`);
    this.name = "QueueTimeoutError";
  }
}
