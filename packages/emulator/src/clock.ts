/**
 * The emulator's source of time. The model reads the wall clock once at its start, and then follows `monotonic()`,
 * because a service's clock does not jump.
 */
export interface Clock {
  /** The wall clock, in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes backwards. */
  monotonic(): number;
  /** Calls `callback` once after `ms` milliseconds. Returns a function that cancels it. */
  setTimer(callback: () => void, ms: number): () => void;
  /** Resolves after other macrotasks have run. */
  yield(): Promise<void>;
}

/**
 * The system clock. `monotonic()` is the wall clock, prevented from going backwards. It is not `performance.now()`,
 * which stops while a laptop sleeps, so that the emulator would wake up in the past.
 */
export function createSystemClock(): Clock {
  let latest = 0;
  return {
    now: () => Date.now(),
    monotonic: () => (latest = Math.max(latest, Date.now())),
    setTimer: (callback, ms) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
  };
}
