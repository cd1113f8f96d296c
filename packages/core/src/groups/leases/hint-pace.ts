/**
 * How soon a hint of the store is followed by a look. One that brought news is followed by the next
 * without delay; each one in a row that brought none makes the next wait twice as long, up to a
 * heartbeat, when a look comes in any case. So hints, wherever they come from, do not multiply the calls to
 * the store.
 */
export class HintPace {
  readonly #leastMs: number;
  readonly #mostMs: number;
  #waitMs: number;
  #isHinted = false;

  constructor(leastMs: number, mostMs: number) {
    this.#leastMs = leastMs;
    this.#mostMs = mostMs;
    this.#waitMs = leastMs;
  }

  /** A hint came: a look is due in so many milliseconds. */
  hint(): number {
    this.#isHinted = true;
    return this.#waitMs;
  }

  /** A look was made: did it find something new? */
  looked(isNew: boolean): void {
    if (isNew) this.#waitMs = this.#leastMs;
    else if (this.#isHinted) this.#waitMs = Math.min(2 * this.#waitMs, this.#mostMs);
    this.#isHinted = false;
  }
}
