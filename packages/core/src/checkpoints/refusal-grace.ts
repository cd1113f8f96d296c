import { systemClock, type Clock } from "../clock.ts";
import { StoreError, type KcError, type KcErrorCode } from "../errors.ts";

/** As long as a refusal by Kinesis is taken for passing. */
const GRACE_MS = 60_000;
/** Who is refused tries again much sooner. So without a refusal for so long, answers say that it is over. */
const QUIET_MS = 30_000;

/**
 * A refused access, for an adapter whose store has worked before: passwords are rotated and grants are
 * replaced while a consumer runs. So STORE_ACCESS_DENIED passes for a minute, counted from the first
 * refusal. It starts over once calls have been answered and none was refused for half a minute: a call
 * that is refused each time has one minute, even if other calls are answered meanwhile. A store that has
 * never answered was set up wrongly: there it lasts.
 * An adapter may name other codes beside it.
 */
export class RefusalGrace {
  readonly #clock: Clock;
  readonly #codes: readonly KcErrorCode[];
  #worked = false;
  /** Has a call been answered since the last refusal? */
  #answered = false;
  /** The first refusal of a row of them and the last one, by the monotonic clock. */
  #refused: { readonly since: number; readonly last: number } | undefined;

  constructor(clock: Clock = systemClock, codes: readonly KcErrorCode[] = ["STORE_ACCESS_DENIED"]) {
    this.#clock = clock;
    this.#codes = codes;
  }

  /** A call was answered. */
  answered(): void {
    this.#worked = true;
    this.#answered = true;
  }

  /** The error to throw: a refusal within its minute is `retryable`. */
  weigh(error: KcError): KcError {
    if (!this.#codes.includes(error.code) || error.retryable || !this.#worked) return error;
    const now = this.#clock.monotonic();
    const before = this.#refused;
    const goesOn = before !== undefined && !(this.#answered && now - before.last >= QUIET_MS);
    const since = goesOn ? before.since : now;
    this.#refused = { since, last: now };
    this.#answered = false;
    if (now - since >= GRACE_MS) return error;
    return new StoreError(error.code, error.message, { retryable: true, cause: error.cause });
  }
}
