import type { Clock } from "../clock.ts";

/** The maximum age of a description, in milliseconds: a stream's strategy may change at any time. */
const MAX_AGE_MS = 60_000;

/**
 * Whether partition keys decide the shard of a record. They do not on streams with
 * `RecordDistributionStrategy: AUTO`. If the last description is too old, the answer is unknown, and a
 * refresh is requested.
 */
export class Distribution {
  readonly #clock: Clock;
  #byKey = false;
  #describedAt = -Infinity;
  #refreshRequested = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns true, once per request, if the caller must describe the stream again. */
  claimRefresh(): boolean {
    const isRequested = this.#refreshRequested;
    this.#refreshRequested = false;
    return isRequested;
  }

  /** Called when the stream was described. Provisioned streams, and some emulators, report no strategy. */
  described(strategy: string | undefined): void {
    this.#byKey = strategy !== "AUTO";
    this.#describedAt = this.#clock.monotonic();
  }

  /** Returns true if keys are known to decide. If that is unknown, requests a refresh. */
  isByKey(): boolean {
    if (this.#clock.monotonic() - this.#describedAt <= MAX_AGE_MS) return this.#byKey;
    this.#refreshRequested = true;
    return false;
  }
}
