import type { KcErrorCode } from "../errors.ts";

/** What an error of a database means for a checkpoint: a row of an adapter's table of errors. */
export interface StoreFailure {
  readonly code: KcErrorCode;
  readonly retryable: boolean;
  /** What happened or what to do, for the error's message. */
  readonly advice: string;
}

/** The same call passes a little later, with nothing changed. */
export function passingFailure(advice: string): StoreFailure {
  return { code: "STORE_UNAVAILABLE", retryable: true, advice };
}

/** Somebody must do something first. */
export function lastingFailure(code: KcErrorCode, advice: string): StoreFailure {
  return { code, retryable: false, advice };
}
