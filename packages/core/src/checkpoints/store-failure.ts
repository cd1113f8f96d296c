import type { KcErrorCode } from "../errors.ts";

/** How an error of a database is treated: a row of an adapter's error table. */
export interface StoreFailure {
  readonly code: KcErrorCode;
  readonly retryable: boolean;
  /** What happened or what to do, for the error's message. */
  readonly advice: string;
}

/** A transient failure: the same call may succeed later without any change. */
export function retryableFailure(advice: string): StoreFailure {
  return { code: "STORE_UNAVAILABLE", retryable: true, advice };
}

/** A permanent failure: the call cannot succeed before the operator has changed something. */
export function permanentFailure(code: KcErrorCode, advice: string): StoreFailure {
  return { code, retryable: false, advice };
}
