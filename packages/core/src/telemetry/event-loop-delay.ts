/** How often the event loop is looked at, in milliseconds. Looking more often costs an idle process. */
const RESOLUTION_MS = 100;

/**
 * How long the process's event loop was held up at most. Node's own `monitorEventLoopDelay` is blind
 * for a moment after each reset, and a handler that blocks just then is the one to be seen.
 */
export class EventLoopDelay {
  #seenAt = performance.now();
  #longestMs = 0;
  readonly #timer = setInterval(() => this.#look(), RESOLUTION_MS).unref();

  /** The longest since it was asked last, in milliseconds: at most the resolution too short. */
  takeLongest(): number {
    this.#look();
    const longestMs = this.#longestMs;
    this.#longestMs = 0;
    return longestMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#seenAt - RESOLUTION_MS);
    this.#seenAt = now;
  }
}
