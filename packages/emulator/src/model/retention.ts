const HOUR_MS = 3_600_000;

/** The service's default. */
const DEFAULT_HOURS = 24;

/** The retention of a stream. Times are milliseconds since the epoch. */
export class Retention {
  #hours: number;
  /** The latest horizon at a change of the retention: records expired by then stay expired. */
  #trimmedTo: number;

  constructor(hours: number = DEFAULT_HOURS, trimmedTo: number = -Infinity) {
    this.#hours = hours;
    this.#trimmedTo = trimmedTo;
  }

  get hours(): number {
    return this.#hours;
  }

  set(hours: number, now: number): void {
    this.#trimmedTo = this.expiredBefore(now);
    this.#hours = hours;
    this.#trimmedTo = this.expiredBefore(now);
  }

  /** Records that arrived before this time have expired. */
  expiredBefore(now: number): number {
    return Math.max(this.#trimmedTo, now - this.#hours * HOUR_MS);
  }
}
