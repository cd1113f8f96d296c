import { sleep, type Clock } from "../../clock.ts";

/** A wait that anybody may shorten. */
export class Alarm {
  readonly #clock: Clock;
  #at = Infinity;
  #moved = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ring in so many milliseconds, or sooner if that was asked for already. */
  ring(inMs: number): void {
    const at = this.#clock.monotonic() + inMs;
    if (at >= this.#at) return;
    this.#at = at;
    this.#moved.abort();
  }

  /** Waits until it rings, `ms` milliseconds at the most, or until the signal aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    this.ring(ms);
    for (;;) {
      const left = this.#at - this.#clock.monotonic();
      if (left <= 0 || signal.aborted) break;
      this.#moved = new AbortController();
      await sleep(this.#clock, left, AbortSignal.any([signal, this.#moved.signal]));
    }
    this.#at = Infinity;
  }
}
