const nonRetriable: unique symbol = Symbol.for("@kc/non-retriable");
const retryAfter: unique symbol = Symbol.for("@kc/retry-after");

/** Thrown by a handler to give the record up without further attempts. `onFailure` decides what happens to it. */
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
 * Thrown by a handler to delay the next attempt by `delayMs` milliseconds, if one is left. A delay that is not a
 * number of at least 0 is ignored: then `retry` sets the delay.
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
