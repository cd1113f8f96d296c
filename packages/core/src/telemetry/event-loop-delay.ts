/** How often the event loop is sampled, in milliseconds. A shorter interval would burden an idle process. */
const RESOLUTION_MS = 100;

/**
 * Measures the longest delay of the process's event loop. Node's `monitorEventLoopDelay` misses delays right after a
 * reset, which is when a blocking handler may run.
 */
export class EventLoopDelay {
  #seenAt = performance.now();
  #longestMs = 0;
  readonly #timer = setInterval(() => this.#sample(), RESOLUTION_MS).unref();

  /** Returns and resets the longest delay, in milliseconds. It may be too short by the resolution at most. */
  takeLongest(): number {
    this.#sample();
    const longestMs = this.#longestMs;
    this.#longestMs = 0;
    return longestMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#seenAt - RESOLUTION_MS);
    this.#seenAt = now;
  }
}
