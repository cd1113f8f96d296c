/**
 * Where the consumer gets its time from. A virtual clock in its place (the one of `@kc/emulator`)
 * runs the whole consumer in virtual time.
 */
export interface Clock {
  /** The wall clock, in milliseconds since the epoch. It may jump; nothing is decided by it alone. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes backwards. */
  monotonic(): number;
  /**
   * Calls `callback` once, `ms` milliseconds from now: 0 to 2,147,483,647. Returns the function that
   * cancels it.
   */
  setTimer(callback: () => void, ms: number): () => void;
  /** Resolves after timers and I/O that were due had their turn. */
  yield(): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (callback, ms) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};

/** The longest timer of Node's, in milliseconds: it fires a longer one after 1 ms, with a warning. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/**
 * Sets a timer for any wait: one below 0 is over at once, an infinite one never. One beyond
 * `MAX_TIMER_MS` is cut there, after 25 days.
 */
export function setTimer(clock: Clock, callback: () => void, ms: number): () => void {
  if (ms === Infinity) return () => {};
  return clock.setTimer(callback, Math.min(Math.max(0, ms), MAX_TIMER_MS));
}

/**
 * Waits `ms` milliseconds, or until the signal aborts if that is sooner. It never rejects: the
 * caller checks the signal afterwards, as it must in any case.
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
 * A stopwatch that trusts neither clock alone: the monotonic one may stand still while a machine
 * is suspended, the wall clock may be set back. Elapsed time is the larger of the two.
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
