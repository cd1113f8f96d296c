const HOUR_MS = 3_600_000;

/** The service's default. */
const DEFAULT_HOURS = 24;

/** How long a stream keeps its records, and what is gone; times are milliseconds since the epoch. */
export class Retention {
  #hours: number;
  /** The latest horizon that a change of retention has seen: what was gone then stays gone. */
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

  /** What arrived before this instant is gone. */
  expiredBefore(now: number): number {
    return Math.max(this.#trimmedTo, now - this.#hours * HOUR_MS);
  }
}
