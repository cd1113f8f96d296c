const OF_POOLS = new WeakMap<object, TransactionTurns>();

/** Of a pool that was handed in: stores that share it share its connections, and so its turns. */
export function turnsOf(pool: object): TransactionTurns {
  const turns = OF_POOLS.get(pool) ?? new TransactionTurns();
  OF_POOLS.set(pool, turns);
  return turns;
}

/** Lets so many transactions go on at once. The others wait: first come, first served. */
export class TransactionTurns {
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /**
   * Resolves with what gives the turn back, when it is this caller's.
   * @param most how many go on at once
   * @throws the signal's reason
   */
  async take(most: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < most) this.#taken += 1;
    else await this.#wait(signal);
    return () => {
      // The next one in the line gets this very turn: nobody comes in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken -= 1;
      else next();
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      this.#waiting.push(go);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
