import { CallLimit } from "../call-limit.ts";
import type { Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";

/** The least timeout of an attempt, in milliseconds. */
const MIN_TIMEOUT_MS = 2000;
/** An attempt times out after this many times the usual duration: it is unlikely to be answered then. */
const USUAL_DURATION_FACTOR = 4;
/** The longest pause before the next attempt after `hurry`, in milliseconds. */
const HURRIED_PAUSE_MS = 100;

/**
 * The timeout of an attempt: a multiple of what the last attempts took, doubled after each timeout. So a lost
 * reply costs seconds, and a slow store gets the time it needs. `hurry` ends a wait that is already long.
 */
export class AdaptiveTimeout {
  readonly #clock: Clock;
  readonly #minMs: number;
  readonly #maxMs: () => number;
  #usualMs = 0;
  #backoff = 1;
  #hurriedAt = -Infinity;
  /** True if the next pause must be short. */
  #isNextPauseShort = false;
  #attempt: CallLimit | undefined;
  #pause: CallLimit | undefined;

  /** @param maxMs the longest timeout */
  constructor(clock: Clock, maxMs: () => number, minMs: number = MIN_TIMEOUT_MS) {
    this.#clock = clock;
    this.#maxMs = maxMs;
    this.#minMs = minMs;
  }

  /** Begins an attempt, which must be ended by `end`. `onTimeout` creates the error of a timeout. */
  begin(signal: AbortSignal, onTimeout: (ms: number) => Error): CallLimit {
    const since = this.#clock.monotonic();
    this.#attempt = new CallLimit({
      clock: this.#clock,
      signals: [signal],
      timeoutMs: this.#limitMs(this.#backoff),
      onTimeout: () => {
        this.#backoff *= 2;
        return onTimeout(this.#clock.monotonic() - since);
      },
    });
    return this.#attempt;
  }

  /** The attempt succeeded after `ms` milliseconds. */
  answered(ms: number): void {
    this.#usualMs = Math.max(ms, this.#usualMs / 2);
    this.#backoff = 1;
  }

  /** The attempt has ended. */
  end(): void {
    this.#attempt?.stop();
    this.#attempt = undefined;
  }

  /** Waits `ms` milliseconds before the next attempt, or until the signal aborts. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    const limit = new CallLimit({
      clock: this.#clock,
      signals: [signal],
      timeoutMs: this.#isNextPauseShort ? Math.min(ms, HURRIED_PAUSE_MS) : ms,
      onTimeout: () => new Error("the pause has ended"),
    });
    this.#isNextPauseShort = false;
    this.#pause = limit;
    await aborted(limit.signal);
    limit.stop();
    this.#pause = undefined;
  }

  /** A caller waits for the result and has little time: shortens the pause or the timeout. */
  hurry(): void {
    if (this.#pause) this.#pause.shorten(HURRIED_PAUSE_MS);
    else this.#isNextPauseShort = this.#attempt !== undefined;
    const now = this.#clock.monotonic();
    // Not repeatedly: a slow store would never get the time it needs.
    if (now - this.#hurriedAt < USUAL_DURATION_FACTOR * this.#maxMs()) return;
    this.#hurriedAt = now;
    this.#backoff = 1;
    this.#attempt?.shorten(this.#limitMs(1));
  }

  #limitMs(backoff: number): number {
    const usualMs = Math.max(this.#minMs, USUAL_DURATION_FACTOR * this.#usualMs);
    return Math.min(this.#maxMs(), backoff * usualMs);
  }
}

/** A fixed timeout of `ms` milliseconds for each attempt. */
export function fixedTimeout(clock: Clock, ms: number): AdaptiveTimeout {
  return new AdaptiveTimeout(clock, () => ms, ms);
}
