import { systemClock, type Clock } from "../clock.ts";
import { StoreError, type KcError, type KcErrorCode } from "../errors.ts";

/** As long as a refusal by Kinesis is taken for passing. */
const GRACE_MS = 60_000;

/**
 * A refused access, for an adapter whose store has worked before: passwords are rotated and grants are
 * replaced while a consumer runs. So STORE_ACCESS_DENIED passes for a minute, counted from the first
 * refusal after the last answer. A store that has never answered was set up wrongly: there it lasts.
 * An adapter may name other codes beside it.
 */
export class RefusalGrace {
  readonly #clock: Clock;
  readonly #codes: readonly KcErrorCode[];
  #worked = false;
  /** By the monotonic clock; undefined = the last call was not refused. */
  #refusedSince: number | undefined;

  constructor(clock: Clock = systemClock, codes: readonly KcErrorCode[] = ["STORE_ACCESS_DENIED"]) {
    this.#clock = clock;
    this.#codes = codes;
  }

  /** A call was answered. */
  answered(): void {
    this.#worked = true;
    this.#refusedSince = undefined;
  }

  /** The error as it is to be thrown: a refusal within its minute is `retryable`. */
  weigh(error: KcError): KcError {
    if (!this.#codes.includes(error.code) || error.retryable || !this.#worked) return error;
    this.#refusedSince ??= this.#clock.monotonic();
    if (this.#clock.monotonic() - this.#refusedSince >= GRACE_MS) return error;
    return new StoreError(error.code, error.message, { retryable: true, cause: error.cause });
  }
}
