import type { Clock } from "../clock.ts";

/** How old a description may become, in milliseconds: the retention of a stream may change at any time. */
const DESCRIBED_EVERY_MS = 5 * 60_000;
const HOUR_MS = 3_600_000;
/** Ten years. The service keeps records for one year at most. */
const MOST_HOURS = 87_600;

/**
 * How long the stream keeps its records, as it was described last. When later descriptions fail, the last
 * answer holds: in an outage the headroom is needed most.
 */
export class Retention {
  readonly #clock: Clock;
  #ms: number | undefined;
  #describedAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In milliseconds; undefined = the service has not reported it. */
  get ms(): number | undefined {
    return this.#ms;
  }

  /** The stream was described. Some emulators leave the retention out. */
  described(hours: unknown): void {
    this.#describedAt = this.#clock.monotonic();
    const isRetention = typeof hours === "number" && hours > 0 && hours <= MOST_HOURS;
    if (isRetention) this.#ms = hours * HOUR_MS;
  }

  /** True, for one caller in five minutes = the last description is too old: describe the stream again. */
  takeDue(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#describedAt < DESCRIBED_EVERY_MS) return false;
    this.#describedAt = now;
    return true;
  }
}
