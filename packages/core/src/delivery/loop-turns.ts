import type { Clock } from "../clock.ts";

/**
 * Gives each shard that yields a round of the event loop of its own, in order. Otherwise shards that
 * yielded together would resume together, and all of them would compute before the next timer.
 */
export class LoopTurns {
  readonly #clock: Clock;
  #last: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves in a round of the event loop that no other shard gets. */
  next(): Promise<void> {
    this.#last = this.#last.then(() => this.#clock.yield());
    return this.#last;
  }
}
