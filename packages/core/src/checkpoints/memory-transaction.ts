import { StoreError } from "../errors.ts";

/**
 * What happens in one step with a checkpoint of a `MemoryStore`, or not at all. The handler of
 * `scanTransaction` gets one; with `transaction: "handler"` it makes one, and commits it.
 */
export class MemoryTransaction {
  #effects: (() => void)[] = [];
  #guards: (() => void)[] = [];
  #isOver = false;

  /** Has it been committed or rolled back? */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Called when the transaction commits, in the order of the calls. It must not throw: those before it
   * would stand. @throws StoreError TRANSACTION_MISUSED if the transaction is over
   */
  add(effect: () => void): void {
    this.#enter();
    this.#effects.push(effect);
  }

  /** Called when the transaction commits, before all effects. With what it throws nothing is committed. */
  guard(check: () => void): void {
    this.#enter();
    this.#guards.push(check);
  }

  /** @throws StoreError TRANSACTION_MISUSED if the transaction is over; what a guard throws */
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
    throw new StoreError("TRANSACTION_MISUSED", "the memory transaction is over");
  }
}
