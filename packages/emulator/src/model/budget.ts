/**
 * A token bucket with a capacity of one second. One expense may overdraw it; then it must be full again before the next
 * one: after a 10 MiB reply at 2 MiB/s, nothing passes for 5 s.
 */
export class Budget {
  readonly #perSecond: number;
  /** In thousandths of the unit, so that whole milliseconds refill it without rounding. */
  #left: number;
  #at = 0;
  #overdrawn = false;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * 1000;
  }

  /** Whether `amount` may be spent at `now` (milliseconds, monotonic). */
  allows(amount: number, now: number): boolean {
    const whole = this.#perSecond * 1000;
    this.#left = Math.min(whole, this.#left + (now - this.#at) * this.#perSecond);
    this.#at = now;
    if (this.#left === whole) this.#overdrawn = false;
    // An amount above the capacity passes only if the budget is full.
    return !this.#overdrawn && this.#left >= Math.min(amount * 1000, whole);
  }

  spend(amount: number): void {
    this.#left -= amount * 1000;
    this.#overdrawn = this.#left < 0;
  }
}
