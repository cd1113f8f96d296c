const MIB = 1024 * 1024;

/** Which of a shard's quotas are enforced. */
export interface Quotas {
  /** 5 GetRecords a second, 2 MiB a second, 5 GetShardIterator a second. Default true. */
  readonly reads?: boolean;
  /** 1,000 records a second and 1 MiB a second. Default true. */
  readonly writes?: boolean;
}

/**
 * A budget that is spent by calls and refilled by time, up to one second's worth. It may be
 * overdrawn by one expense, and must then be whole again before the next: after a 10 MiB reply at
 * 2 MiB/s nothing passes for 5 s.
 */
class Budget {
  readonly #perSecond: number;
  /** In thousandths, so that whole milliseconds refill it without rounding. */
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
    // What exceeds a whole second's budget passes only when the budget is untouched.
    return !this.#overdrawn && this.#left >= Math.min(amount * 1000, whole);
  }

  spend(amount: number): void {
    this.#left -= amount * 1000;
    this.#overdrawn = this.#left < 0;
  }
}

/** One shard's quotas. Times are milliseconds of a monotonic clock. */
export class ShardQuotas {
  readonly #enforced: Quotas;
  readonly #reads = new Budget(5);
  readonly #readBytes = new Budget(2 * MIB);
  readonly #iterators = new Budget(5);
  readonly #writes = new Budget(1000);
  readonly #writeBytes = new Budget(MIB);

  constructor(enforced: Quotas) {
    this.#enforced = enforced;
  }

  /** Whether a GetRecords may begin; it counts as a call if so. */
  admitRead(now: number): boolean {
    if (this.#enforced.reads === false) return true;
    if (!this.#reads.allows(1, now) || !this.#readBytes.allows(1, now)) return false;
    this.#reads.spend(1);
    return true;
  }

  /** Charges the bytes of a GetRecords' reply. */
  chargeRead(bytes: number): void {
    this.#readBytes.spend(bytes);
  }

  /** Whether a GetShardIterator may begin; it counts if so. */
  admitIterator(now: number): boolean {
    if (this.#enforced.reads === false) return true;
    if (!this.#iterators.allows(1, now)) return false;
    this.#iterators.spend(1);
    return true;
  }

  /** Whether a record of `bytes` may be written; it is charged if so. */
  admitWrite(bytes: number, now: number): boolean {
    if (this.#enforced.writes === false) return true;
    if (!this.#writes.allows(1, now) || !this.#writeBytes.allows(bytes, now)) return false;
    this.#writes.spend(1);
    this.#writeBytes.spend(bytes);
    return true;
  }
}
