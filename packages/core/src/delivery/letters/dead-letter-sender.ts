import { backoffMs } from "../../backoff.ts";
import type { Clock } from "../../clock.ts";
import type { SharedTimer } from "../../shared-timer.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { DeadLetter, DeadLetterQueue } from "./dead-letter.ts";

/** Bounds of the waits between tries. */
const BACKOFF = { baseMs: 100, maxMs: 30_000 };
/** A try that takes longer has failed, in milliseconds. */
const TRY_MS = 30_000;
/** The most letters of one call, and of their data; a single letter may have more. */
const LETTERS_A_CALL = 500;
const BYTES_A_CALL = 4 * 1024 * 1024;

export interface DeadLetterSenderOptions {
  readonly shardId: string;
  readonly queue: DeadLetterQueue;
  /** Aborts when no further try is to begin. */
  readonly stop: AbortSignal;
  /** Aborts when the shard is given up: the try under way ends. */
  readonly abandon: AbortSignal;
  /** How long the try under way may take once `stop` has aborted, in milliseconds. */
  readonly lastTryMs: number;
  readonly clock: Clock;
  readonly timer: SharedTimer;
  readonly random: () => number;
  readonly telemetry: Telemetry;
}

/** A record that was given up. */
export interface Undelivered {
  /** Of its data. */
  readonly bytes: number;
  /** Makes its letter, when its turn comes. */
  readonly letter: () => DeadLetter;
  /** The queue has acknowledged it. */
  readonly onSent: () => void;
}

/**
 * Brings the letters of one shard to its dead-letter queue: those that come together in one call, one
 * call at a time, each until the queue has acknowledged it. A queue that is away is one trouble of the
 * whole application, however many shards have letters for it.
 */
export class DeadLetterSender {
  readonly #options: DeadLetterSenderOptions;
  readonly #call = { service: "dead-letters", operation: "sendDeadLetters" } as const;
  /** Those that are not acknowledged. */
  #waiting: Undelivered[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: DeadLetterSenderOptions) {
    this.#options = options;
  }

  /** Calls `onSent` once its letter is acknowledged; never, if the shard stops first. */
  send(record: Undelivered): void {
    this.#waiting.push(record);
    this.#sending ??= this.#sendAll();
  }

  /** Resolves when no call is under way. After a stop that is soon. */
  async untilOver(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    const { clock, stop, telemetry } = this.#options;
    let failures = 0;
    // Records that fail together have their letters in one call.
    await clock.yield();
    while (this.#waiting.length > 0 && !stop.aborted) {
      const taken = this.#waiting.slice(0, this.#fitting());
      try {
        await this.#try(taken.map(({ letter }) => letter()));
      } catch (error) {
        if (stop.aborted) break;
        failures += 1;
        telemetry.troubles.failed(this.#call, error, { shardId: this.#options.shardId });
        await this.#pause(failures);
        continue;
      }
      failures = 0;
      telemetry.troubles.answered(this.#call);
      this.#waiting = this.#waiting.slice(taken.length);
      for (const { onSent } of taken) onSent();
    }
    if (failures > 0) telemetry.troubles.dropped(this.#call);
    this.#sending = undefined;
  }

  /** How many letters the next call takes. */
  #fitting(): number {
    let bytes = 0;
    const beyond = this.#waiting.findIndex((record, index) => {
      bytes += record.bytes;
      return index > 0 && (index >= LETTERS_A_CALL || bytes > BYTES_A_CALL);
    });
    return beyond < 0 ? this.#waiting.length : beyond;
  }

  /** One call. @throws what it rejects with, or why it was given up, whether it follows its signal or not */
  async #try(letters: readonly DeadLetter[]): Promise<void> {
    const { queue, stop, abandon, lastTryMs, timer } = this.#options;
    const given = new AbortController();
    const { signal } = given;
    const giveUp = (reason: unknown): void => given.abort(reason);
    const cancels = [timer.after(TRY_MS, () => giveUp(new QueueTimeoutError(TRY_MS)))];
    const onAbandon = (): void => giveUp(abandon.reason);
    const onStop = (): void => {
      cancels.push(timer.after(lastTryMs, () => giveUp(stop.reason)));
    };
    abandon.addEventListener("abort", onAbandon, { once: true });
    stop.addEventListener("abort", onStop, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        // A queue may throw before it answers.
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
