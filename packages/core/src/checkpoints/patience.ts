import { CallLimit } from "../call-limit.ts";
import type { Clock } from "../clock.ts";
import { aborted } from "../deadline.ts";

/** A try is given so long at least, in milliseconds. */
const LEAST_MS = 2000;
/** A try that takes so many times what the others took will not be answered any more. */
const TIMES_THE_USUAL = 4;
/** Who is in a hurry waits so long for the next try at most, in milliseconds. */
const HURRIED_PAUSE_MS = 100;

/**
 * How long a try may take before it is sent again: a few times what the last ones took, and twice as
 * long after each that was given up, so that a reply that never comes costs seconds and a store that
 * is slow is waited for. A caller in a hurry ends what has been waited for too long already.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #leastMs: number;
  readonly #mostMs: () => number;
  #usualMs = 0;
  #growth = 1;
  #hurriedAt = -Infinity;
  /** The next pause is a short one. */
  #hurried = false;
  #trial: CallLimit | undefined;
  #pause: CallLimit | undefined;

  /** @param mostMs a try may never take longer */
  constructor(clock: Clock, mostMs: () => number, leastMs: number = LEAST_MS) {
    this.#clock = clock;
    this.#mostMs = mostMs;
    this.#leastMs = leastMs;
  }

  /** Begins a try; `answered` or not, it is ended by `end`. `onTimeout` makes what it then fails with. */
  begin(signal: AbortSignal, onTimeout: (ms: number) => Error): CallLimit {
    const since = this.#clock.monotonic();
    this.#trial = new CallLimit({
      clock: this.#clock,
      signals: [signal],
      timeoutMs: this.#limitMs(this.#growth),
      onTimeout: () => {
        this.#growth *= 2;
        return onTimeout(this.#clock.monotonic() - since);
      },
    });
    return this.#trial;
  }

  /** The try was answered after so long. */
  answered(ms: number): void {
    this.#usualMs = Math.max(ms, this.#usualMs / 2);
    this.#growth = 1;
  }

  /** The try is over. */
  end(): void {
    this.#trial?.stop();
    this.#trial = undefined;
  }

  /** Waits `ms` milliseconds until the next try, or until the signal aborts. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    const limit = new CallLimit({
      clock: this.#clock,
      signals: [signal],
      timeoutMs: this.#hurried ? Math.min(ms, HURRIED_PAUSE_MS) : ms,
      onTimeout: () => new Error("the pause is over"),
    });
    this.#hurried = false;
    this.#pause = limit;
    await aborted(limit.signal);
    limit.stop();
    this.#pause = undefined;
  }

  /** Somebody waits for the answer, and has little time. */
  hurry(): void {
    if (this.#pause) this.#pause.shorten(HURRIED_PAUSE_MS);
    else this.#hurried = this.#trial !== undefined;
    const now = this.#clock.monotonic();
    // Not again and again: a store that is slow would never have the time that it needs.
    if (now - this.#hurriedAt < TIMES_THE_USUAL * this.#mostMs()) return;
    this.#hurriedAt = now;
    this.#growth = 1;
    this.#trial?.shorten(this.#limitMs(1));
  }

  #limitMs(growth: number): number {
    const patientMs = Math.max(this.#leastMs, TIMES_THE_USUAL * this.#usualMs);
    return Math.min(this.#mostMs(), growth * patientMs);
  }
}

/** Each try may take `ms` milliseconds. */
export function fixedPatience(clock: Clock, ms: number): Patience {
  return new Patience(clock, () => ms, ms);
}
