import type { Clock } from "../clock.ts";

/** What one shard serves to all applications together. */
const CALLS_PER_SECOND = 5;
const BYTES_PER_SECOND = 2 * 1024 * 1024;

/** A refused call reduces our assumed part to so much: other readers exist. */
const AFTER_REFUSAL = 0.75;
const LEAST_LEFT = 0.2;
/** So much of it comes back in a second without a refusal. */
const RECOVERY_PER_SECOND = 0.05;

/**
 * When one shard may be read next within its quota. It counts every request, including those that the
 * SDK repeats by itself, and every byte of every reply. A refusal means that other readers exist: our
 * part shrinks, and grows back slowly.
 */
export class ReadQuota {
  readonly #clock: Clock;
  readonly #calls: Bucket;
  readonly #bytes: Bucket;
  #at: number;
  /** The part of our share that we use now. */
  #left = 1;

  /** @param share the part of the shard that is ours, above 0, at most 1 */
  constructor(clock: Clock, share: number) {
    this.#clock = clock;
    this.#at = clock.monotonic();
    this.#calls = new Bucket(CALLS_PER_SECOND * share, 1);
    this.#bytes = new Bucket(BYTES_PER_SECOND * share, 1);
  }

  /** How long the next call has to wait, in milliseconds; 0 = it may go now. */
  delayMs(): number {
    this.#refill();
    return Math.ceil(Math.max(this.#calls.delayMs(this.#left), this.#bytes.delayMs(this.#left)));
  }

  sent(calls = 1): void {
    this.#refill();
    this.#calls.spend(calls);
  }

  received(bytes: number): void {
    this.#refill();
    this.#bytes.spend(bytes);
  }

  /** The service refused a call: the shard's quota was used up. */
  refused(): void {
    this.#refill();
    this.#left = Math.max(LEAST_LEFT, this.#left * AFTER_REFUSAL);
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    this.#calls.refill(seconds * this.#left);
    this.#bytes.refill(seconds * this.#left);
    this.#left = Math.min(1, this.#left + seconds * RECOVERY_PER_SECOND);
  }
}

/**
 * Holds one second's quota. Once overdrawn, it must be full again before anything passes. The service
 * was seen to count in this way: after a reply of 10 MiB nothing passes for 5 s.
 */
class Bucket {
  readonly #perSecond: number;
  readonly #whole: number;
  readonly #least: number;
  #filled: number;
  #overdrawn = false;

  constructor(perSecond: number, least: number) {
    this.#perSecond = perSecond;
    this.#least = least;
    this.#whole = this.#filled = Math.max(perSecond, least);
  }

  refill(seconds: number): void {
    this.#filled = Math.min(this.#whole, this.#filled + seconds * this.#perSecond);
    if (this.#filled === this.#whole) this.#overdrawn = false;
  }

  spend(amount: number): void {
    this.#filled -= amount;
    this.#overdrawn ||= this.#filled < 0;
  }

  delayMs(left: number): number {
    const needed = this.#overdrawn ? this.#whole : this.#least;
    // A millionth of the whole is rounding.
    const missing = needed - this.#filled - this.#whole * 1e-6;
    return missing <= 0 ? 0 : (missing / (this.#perSecond * left)) * 1000;
  }
}
