import { systemClock, type Clock } from "../clock.ts";
import { StoreError, type KcError, type KcErrorCode } from "../errors.ts";

/** How long refusals are retryable: the same time as for refusals by Kinesis. */
const GRACE_MS = 60_000;
/** Refused calls are retried much sooner, so after this time without a refusal the store accepts calls again. */
const QUIET_MS = 30_000;

/**
 * A grace period for refused access, for an adapter whose store has worked before: passwords are rotated and
 * grants are replaced while a consumer runs. So STORE_ACCESS_DENIED is retryable for a minute, counted from
 * the first refusal. The minute starts over once calls have succeeded and none was refused for half a minute:
 * a call that is refused each time has one minute, even if other calls succeed meanwhile. If no call has ever
 * succeeded, the store is misconfigured and a refusal is not retryable. An adapter may name other codes.
 */
export class RefusalGrace {
  readonly #clock: Clock;
  readonly #codes: readonly KcErrorCode[];
  #worked = false;
  /** True if a call has succeeded since the last refusal. */
  #answered = false;
  /** When the current series of refusals began, and its last one, by the monotonic clock. */
  #refused: { readonly since: number; readonly last: number } | undefined;

  constructor(clock: Clock = systemClock, codes: readonly KcErrorCode[] = ["STORE_ACCESS_DENIED"]) {
    this.#clock = clock;
    this.#codes = codes;
  }

  /** A call has succeeded. */
  answered(): void {
    this.#worked = true;
    this.#answered = true;
  }

  /** The error to throw. A refusal within the grace period is `retryable`. */
  weigh(error: KcError): KcError {
    if (!this.#codes.includes(error.code) || error.retryable || !this.#worked) return error;
    const now = this.#clock.monotonic();
    const before = this.#refused;
    const continues = before !== undefined && !(this.#answered && now - before.last >= QUIET_MS);
    const since = continues ? before.since : now;
    this.#refused = { since, last: now };
    this.#answered = false;
    if (now - since >= GRACE_MS) return error;
    return new StoreError(error.code, error.message, { retryable: true, cause: error.cause });
  }
}
