const nonRetriable: unique symbol = Symbol.for("@kc/non-retriable");
const retryAfter: unique symbol = Symbol.for("@kc/retry-after");

/**
 * Thrown by a handler: the record is given up at once, whatever attempts are left. `onFailure` decides
 * what becomes of it.
 */
export class NonRetriableError extends Error {
  readonly [nonRetriable] = true as const;

  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }

  /** True for an error of any copy of this library. */
  static is(error: unknown): error is NonRetriableError {
    return typeof error === "object" && error !== null && nonRetriable in error;
  }
}

/**
 * Thrown by a handler: the next attempt comes after `delayMs`, if one is left. A delay that is no number
 * of milliseconds of at least 0 leaves the delay to `retry`.
 */
export class RetryAfterError extends Error {
  readonly [retryAfter] = true as const;
  readonly delayMs: number;

  constructor(
    delayMs: number,
    message: string = `try again after ${delayMs} ms`,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.name = new.target.name;
    this.delayMs = delayMs;
  }

  /** True for an error of any copy of this library. */
  static is(error: unknown): error is RetryAfterError {
    return typeof error === "object" && error !== null && retryAfter in error;
  }
}
