/** What the SDK's connections (50 by default) carry besides heartbeats. */
const MAX_IN_FLIGHT = 32;

/**
 * How many requests may be under way at once: half as many after each that was throttled, one more
 * for each round of others.
 */
export class ConcurrencyLimit {
  #limit = MAX_IN_FLIGHT;

  get limit(): number {
    return Math.floor(this.#limit);
  }

  throttled(): void {
    this.#limit = Math.max(1, this.#limit / 2);
  }

  answered(): void {
    this.#limit = Math.min(MAX_IN_FLIGHT, this.#limit + 1 / this.#limit);
  }
}
