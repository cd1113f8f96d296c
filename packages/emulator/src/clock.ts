/**
 * Where the emulator gets its time from. The model reads the wall clock once, at its start, and
 * then follows `monotonic()`: a service's clock does not jump.
 */
export interface Clock {
  /** The wall clock, in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes backwards. */
  monotonic(): number;
  /** Calls `callback` once, `ms` milliseconds from now. Returns the function that cancels it. */
  setTimer(callback: () => void, ms: number): () => void;
  /** Resolves after other macrotasks had their turn. */
  yield(): Promise<void>;
}

/**
 * The machine's own clock. Its monotonic side is the wall clock, kept from going backwards, and
 * not `performance.now()`: that one stands still while a laptop sleeps, and the emulator would
 * wake up in the past.
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
