import { StoreError } from "../errors.ts";

/**
 * Effects that take place together with a checkpoint of a `MemoryStore`, or not at all. The handler of
 * `scanTransaction` gets one. With `transaction: "handler"` it creates one and commits it.
 */
export class MemoryTransaction {
  #effects: (() => void)[] = [];
  #guards: (() => void)[] = [];
  #isOver = false;

  /** True if it was committed or rolled back. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Adds an effect. Effects are called at the commit, in the order in which they were added. An effect must
   * not throw: the effects before it could not be undone.
   * @throws StoreError TRANSACTION_MISUSED if the transaction has ended
   */
  add(effect: () => void): void {
    this.#enter();
    this.#effects.push(effect);
  }

  /** Adds a check, which is called at the commit before all effects. If it throws, nothing is committed. */
  guard(check: () => void): void {
    this.#enter();
    this.#guards.push(check);
  }

  /** @throws StoreError TRANSACTION_MISUSED if the transaction has ended; what a guard throws */
  commit(): void {
    this.#enter();
    this.#isOver = true;
    for (const check of this.#guards) check();
    for (const effect of this.#effects) effect();
  }

  /** Idempotent. */
  rollback(): void {
    this.#isOver = true;
  }

  #enter(): void {
    if (!this.#isOver) return;
    throw new StoreError("TRANSACTION_MISUSED", "the memory transaction has ended");
  }
}
