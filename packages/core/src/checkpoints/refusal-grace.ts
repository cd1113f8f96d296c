import { systemClock, type Clock } from "../clock.ts";
import { StoreError, type KcError } from "../errors.ts";

/** As long as a refusal by Kinesis is taken for passing. */
const GRACE_MS = 60_000;

/**
 * A refused access, for an adapter whose store has worked before: passwords are rotated and grants are
 * replaced while a consumer runs. So STORE_ACCESS_DENIED passes for a minute, counted from the first
 * refusal after the last answer. A store that has never answered was set up wrongly: there it lasts.
 */
export class RefusalGrace {
  readonly #clock: Clock;
  #worked = false;
  /** By the monotonic clock; undefined = the last call was not refused. */
  #refusedSince: number | undefined;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** A call was answered. */
  answered(): void {
    this.#worked = true;
    this.#refusedSince = undefined;
  }

  /** The error as it is to be thrown: a refusal within its minute is `retryable`. */
  weigh(error: KcError): KcError {
    if (error.code !== "STORE_ACCESS_DENIED" || error.retryable || !this.#worked) return error;
    this.#refusedSince ??= this.#clock.monotonic();
    if (this.#clock.monotonic() - this.#refusedSince >= GRACE_MS) return error;
    return new StoreError(error.code, error.message, { retryable: true, cause: error.cause });
  }
}
