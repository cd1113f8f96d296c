import type { Clock } from "../clock.ts";

/** A description is trusted for so long, in milliseconds: a stream may be switched at any time. */
const TRUSTED_MS = 60_000;

/**
 * Do partition keys decide the shard of a record? Not on streams with `RecordDistributionStrategy:
 * AUTO`. A description that is too old does not count: then it is not known, and wanted.
 */
export class Distribution {
  readonly #clock: Clock;
  #byKey = false;
  #describedAt = -Infinity;
  #isWanted = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True, for one caller = it was asked for when it was not known: describe the stream again. */
  takeWanted(): boolean {
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    return isWanted;
  }

  /** The stream was described. Provisioned streams, and some emulators, name no strategy. */
  described(strategy: string | undefined): void {
    this.#byKey = strategy !== "AUTO";
    this.#describedAt = this.#clock.monotonic();
  }

  /** Is it known that keys decide? */
  isByKey(): boolean {
    if (this.#clock.monotonic() - this.#describedAt <= TRUSTED_MS) return this.#byKey;
    this.#isWanted = true;
    return false;
  }
}
