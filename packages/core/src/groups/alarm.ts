import { setTimer, type Clock } from "../clock.ts";

/** A wait that anybody may shorten. One waits at a time. */
export class Alarm {
  readonly #clock: Clock;
  #at = Infinity;
  #wake: (() => void) | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rings in so many milliseconds, or sooner if that was asked for already. */
  ring(inMs: number): void {
    const at = this.#clock.monotonic() + inMs;
    if (at >= this.#at) return;
    this.#at = at;
    this.#setTimer();
  }

  /** Waits until it rings, `ms` milliseconds at the most. `Infinity` waits for a ring alone. */
  async wait(ms: number): Promise<void> {
    this.ring(ms);
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
