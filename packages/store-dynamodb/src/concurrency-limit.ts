/** Leaves some of the SDK's connections (50 by default) for heartbeats. */
const MAX_IN_FLIGHT = 32;

/**
 * The maximum number of requests in flight, adapted by AIMD: it is halved after each throttled request, and grows by one
 * for each round of answered ones.
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
