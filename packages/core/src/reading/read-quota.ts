import type { Clock } from "../clock.ts";

/** What one shard serves, to all applications together. */
const CALLS_PER_SECOND = 5;
const BYTES_PER_SECOND = 2 * 1024 * 1024;

/** A throttled call multiplies our fraction by this: there are other readers. */
const AFTER_THROTTLE = 0.75;
const MIN_FRACTION = 0.2;
/** How much of the fraction recovers per second without throttling. */
const RECOVERY_PER_SECOND = 0.05;

/**
 * Limits the reads of one shard to its quota. It counts every request, including the SDK's internal retries, and
 * every byte of every reply. If the service throttles a call, other readers exist: our fraction of the quota shrinks,
 * and recovers slowly.
 */
export class ReadQuota {
  readonly #clock: Clock;
  readonly #calls: TokenBucket;
  readonly #bytes: TokenBucket;
  #at: number;
  /** The fraction of our share that is used now. */
  #fraction = 1;

  /** @param share our share of the shard's quota, above 0, at most 1 */
  constructor(clock: Clock, share: number) {
    this.#clock = clock;
    this.#at = clock.monotonic();
    this.#calls = new TokenBucket(CALLS_PER_SECOND * share, 1);
    this.#bytes = new TokenBucket(BYTES_PER_SECOND * share, 1);
  }

  /** How long the next call must wait, in milliseconds; 0 = it may be sent now. */
  delayMs(): number {
    this.#refill();
    return Math.ceil(
      Math.max(this.#calls.delayMs(this.#fraction), this.#bytes.delayMs(this.#fraction)),
    );
  }

  sent(calls = 1): void {
    this.#refill();
    this.#calls.spend(calls);
  }

  received(bytes: number): void {
    this.#refill();
    this.#bytes.spend(bytes);
  }

  /** Called when the service throttled a call. */
  throttled(): void {
    this.#refill();
    this.#fraction = Math.max(MIN_FRACTION, this.#fraction * AFTER_THROTTLE);
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    this.#calls.refill(seconds * this.#fraction);
    this.#bytes.refill(seconds * this.#fraction);
    this.#fraction = Math.min(1, this.#fraction + seconds * RECOVERY_PER_SECOND);
  }
}

/**
 * A token bucket for one second's quota. Once overdrawn, it must be full again before the next call. The service was
 * observed to count in this way: after a reply of 10 MiB, it throttles all calls for 5 s.
 */
class TokenBucket {
  readonly #perSecond: number;
  readonly #capacity: number;
  /** The tokens that a call needs. */
  readonly #needed: number;
  #tokens: number;
  #overdrawn = false;

  constructor(perSecond: number, needed: number) {
    this.#perSecond = perSecond;
    this.#needed = needed;
    this.#capacity = this.#tokens = Math.max(perSecond, needed);
  }

  refill(seconds: number): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + seconds * this.#perSecond);
    if (this.#tokens === this.#capacity) this.#overdrawn = false;
  }

  spend(amount: number): void {
    this.#tokens -= amount;
    this.#overdrawn ||= this.#tokens < 0;
  }

  /** @param fraction the fraction of the rate at which it is refilled */
  delayMs(fraction: number): number {
    const needed = this.#overdrawn ? this.#capacity : this.#needed;
    // Tolerates rounding errors.
    const missing = needed - this.#tokens - this.#capacity * 1e-6;
    return missing <= 0 ? 0 : (missing / (this.#perSecond * fraction)) * 1000;
  }
}
