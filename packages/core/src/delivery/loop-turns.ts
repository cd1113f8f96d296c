import type { Clock } from "../clock.ts";

/**
 * Hands out the event loop's rounds, one to each shard that asks, in order. Shards that gave way
 * together would come back together, and all compute before the next timer.
 */
export class LoopTurns {
  readonly #clock: Clock;
  #last: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves in a round of the event loop that no other shard was given. */
  next(): Promise<void> {
    this.#last = this.#last.then(() => this.#clock.yield());
    return this.#last;
  }
}
