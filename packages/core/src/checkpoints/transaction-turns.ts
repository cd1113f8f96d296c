const OF_POOLS = new WeakMap<object, TransactionTurns>();

/** The semaphore of a pool that was passed in: stores that share a pool share its connections. */
export function turnsOf(pool: object): TransactionTurns {
  const turns = OF_POOLS.get(pool) ?? new TransactionTurns();
  OF_POOLS.set(pool, turns);
  return turns;
}

/** A fair semaphore that limits concurrent transactions. */
export class TransactionTurns {
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /**
   * Acquires a permit, first come first served. Resolves with the function that releases it.
   * @param most the limit of concurrent transactions
   * @throws the signal's reason
   */
  async take(most: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < most) this.#taken += 1;
    else await this.#wait(signal);
    return () => {
      // Passes the permit directly to the next waiter, so that no new caller can overtake it.
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
