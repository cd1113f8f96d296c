import type { FakeClock } from "@kc/emulator";
import type { Clock } from "../../src/clock.ts";

interface Timer {
  readonly due: number;
  readonly callback: () => void;
  cancel: () => void;
}

/** The clock of a process that can stand still, as one does whose event loop is blocked. */
export class FreezingClock implements Clock {
  readonly #clock: FakeClock;
  /** In the order in which they were set. */
  readonly #timers = new Set<Timer>();
  #frozenMs = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now() + this.#frozenMs;
  }

  monotonic(): number {
    return this.#clock.monotonic() + this.#frozenMs;
  }

  setTimer(callback: () => void, ms: number): () => void {
    const timer: Timer = { due: this.monotonic() + ms, callback, cancel: () => {} };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => {
      this.#timers.delete(timer);
      timer.cancel();
    };
  }

  yield(): Promise<void> {
    return this.#clock.yield();
  }

  /** So much time goes by in which nothing runs: timers that were due meanwhile run after it. */
  freeze(ms: number): void {
    this.#frozenMs += ms;
    for (const timer of [...this.#timers].toSorted((a, b) => a.due - b.due)) {
      timer.cancel();
      this.#arm(timer);
    }
  }

  #arm(timer: Timer): void {
    const run = (): void => {
      this.#timers.delete(timer);
      timer.callback();
    };
    timer.cancel = this.#clock.setTimer(run, Math.max(0, timer.due - this.monotonic()));
  }
}
