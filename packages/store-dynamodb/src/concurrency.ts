/** What the SDK's connections (50 by default) carry besides heartbeats. */
const MOST_AT_ONCE = 32;

/**
 * How many requests may be under way at once: half as many after each that was throttled, one more
 * for each round of others.
 */
export class Concurrency {
  #limit = MOST_AT_ONCE;

  get limit(): number {
    return Math.floor(this.#limit);
  }

  throttled(): void {
    this.#limit = Math.max(1, this.#limit / 2);
  }

  answered(): void {
    this.#limit = Math.min(MOST_AT_ONCE, this.#limit + 1 / this.#limit);
  }
}
