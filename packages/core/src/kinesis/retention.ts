import type { Clock } from "../clock.ts";

/** The maximum age of a description, in milliseconds: the retention of a stream may change at any time. */
const MAX_AGE_MS = 5 * 60_000;
const HOUR_MS = 3_600_000;
/** Ten years. The service keeps records for at most one year. */
const MAX_HOURS = 87_600;

/**
 * How long the stream keeps its records, by its last description. If later descriptions fail, the last
 * value stays: during an outage, users need the retention headroom most.
 */
export class Retention {
  readonly #clock: Clock;
  #ms: number | undefined;
  #describedAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In milliseconds; `undefined` if the service has not reported it. */
  get ms(): number | undefined {
    return this.#ms;
  }

  /** Called when the stream was described. Some emulators leave out the retention. */
  described(hours: unknown): void {
    this.#describedAt = this.#clock.monotonic();
    const isRetention = typeof hours === "number" && hours > 0 && hours <= MAX_HOURS;
    if (isRetention) this.#ms = hours * HOUR_MS;
  }

  /**
   * Returns true if the last description is too old: the caller must describe the stream again. Other
   * callers get false for the next five minutes.
   */
  claimRefresh(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#describedAt < MAX_AGE_MS) return false;
    this.#describedAt = now;
    return true;
  }
}
