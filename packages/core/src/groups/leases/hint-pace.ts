/**
 * Limits how soon a hint of the store causes a round. After a round that found changes, the next hint is followed
 * without backoff. Each consecutive hinted round without changes doubles the delay, up to one heartbeat, when a round
 * runs in any case. So hints, wherever they come from, do not multiply the calls to the store.
 */
export class HintPace {
  readonly #minMs: number;
  readonly #maxMs: number;
  #delayMs: number;
  #isHinted = false;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#delayMs = minMs;
  }

  /** Called on a hint. Returns the delay until the next round, in milliseconds. */
  hint(): number {
    this.#isHinted = true;
    return this.#delayMs;
  }

  /** Called after each read of the rows. @param isChanged whether it found changes */
  updated(isChanged: boolean): void {
    if (isChanged) this.#delayMs = this.#minMs;
    else if (this.#isHinted) this.#delayMs = Math.min(2 * this.#delayMs, this.#maxMs);
    this.#isHinted = false;
  }
}
