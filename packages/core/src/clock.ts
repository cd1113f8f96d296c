/**
 * The source of time and timers. With a virtual clock, such as `FakeClock` of `@kc/emulator`, the whole
 * consumer runs in virtual time.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. It may jump, so no decision depends on it alone. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes backwards. */
  monotonic(): number;
  /** Calls `callback` once after `ms` milliseconds, 0 to 2,147,483,647. Returns a function that cancels it. */
  setTimer(callback: () => void, ms: number): () => void;
  /** Yields to the event loop: resolves after due timers and I/O have run. */
  yield(): Promise<void>;
}

/** The system clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (callback, ms) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** Maximum delay of a Node timer, in milliseconds. A longer one would fire after 1 ms, with a warning. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/**
 * Sets a timer for any delay: one below 0 counts as 0, an infinite one never fires, and one above
 * `MAX_TIMER_MS` (25 days) is cut to it.
 */
export function setTimer(clock: Clock, callback: () => void, ms: number): () => void {
  if (ms === Infinity) return () => {};
  return clock.setTimer(callback, Math.min(Math.max(0, ms), MAX_TIMER_MS));
}

/**
 * Waits `ms` milliseconds, or until the signal aborts if that is sooner. It never rejects: the
 * caller must check the signal afterwards.
 */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const cancel = setTimer(clock, end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
}

/**
 * A stopwatch that uses both clocks, because the monotonic one may stop while the machine is suspended, and
 * the wall clock may be set back. The elapsed time is the larger of the two.
 */
export class Stopwatch {
  readonly #clock: Clock;
  #monotonic: number;
  #wall: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#monotonic = clock.monotonic();
    this.#wall = clock.now();
  }

  /** Milliseconds since construction or the last `restart()`. */
  elapsed(): number {
    return Math.max(this.#clock.monotonic() - this.#monotonic, this.#clock.now() - this.#wall);
  }

  restart(): void {
    this.#monotonic = this.#clock.monotonic();
    this.#wall = this.#clock.now();
  }
}
