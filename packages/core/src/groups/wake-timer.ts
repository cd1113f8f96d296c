import { setTimer, type Clock } from "../clock.ts";

/** A wait that can be shortened from elsewhere. Only one caller may wait at a time. */
export class WakeTimer {
  readonly #clock: Clock;
  #at = Infinity;
  #wake: (() => void) | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the current or next wait in `ms` milliseconds, unless an earlier time is already set. */
  wakeIn(ms: number): void {
    const at = this.#clock.monotonic() + ms;
    if (at >= this.#at) return;
    this.#at = at;
    this.#setTimer();
  }

  /** Waits until `wakeIn` ends the wait, `ms` milliseconds at most; Infinity = no limit. */
  async wait(ms: number): Promise<void> {
    this.wakeIn(ms);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#setTimer();
    });
    this.#wake = undefined;
    this.#at = Infinity;
  }

  #setTimer(): void {
    const wake = this.#wake;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (wake === undefined) return;
    const left = this.#at - this.#clock.monotonic();
    if (left <= 0) wake();
    else this.#cancelTimer = setTimer(this.#clock, wake, left);
  }
}
