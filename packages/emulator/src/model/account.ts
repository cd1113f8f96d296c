/** Minimum duration of a commitment to pay for a minimum throughput. */
const COMMITMENT_MS = 24 * 3_600_000;

/** The state of the account's commitment; times are milliseconds since the epoch. */
export interface Commitment {
  readonly status: "ENABLED" | "DISABLED" | "ENABLED_UNTIL_EARLIEST_ALLOWED_END";
  readonly startedAt?: number;
  readonly earliestEndAt?: number;
  readonly endedAt?: number;
}

/** The settings of the account. */
export class Account {
  #commitment: Commitment = { status: "DISABLED" };

  /** The commitment at `now`. One that was cancelled early ends at its earliest allowed end. */
  commitment(now: number): Commitment {
    const { status, startedAt, earliestEndAt } = this.#commitment;
    if (status === "ENABLED_UNTIL_EARLIEST_ALLOWED_END" && earliestEndAt! <= now) {
      this.#commitment = { status: "DISABLED", startedAt: startedAt!, endedAt: earliestEndAt! };
    }
    return this.#commitment;
  }

  /** Whether warm throughput may be set now. */
  hasCommitment(now: number): boolean {
    return this.commitment(now).status !== "DISABLED";
  }

  /** Begins the commitment, or revokes its cancellation. */
  commit(now: number): void {
    const { status, startedAt = now, earliestEndAt = now + COMMITMENT_MS } = this.commitment(now);
    this.#commitment =
      status === "DISABLED"
        ? { status: "ENABLED", startedAt: now, earliestEndAt: now + COMMITMENT_MS }
        : { status: "ENABLED", startedAt, earliestEndAt };
  }

  /** Ends the commitment as soon as that is allowed. */
  cancel(now: number): void {
    const commitment = this.commitment(now);
    if (commitment.status === "DISABLED") return;
    this.#commitment = { ...commitment, status: "ENABLED_UNTIL_EARLIEST_ALLOWED_END" };
    this.commitment(now);
  }
}
