import { setMaxListeners } from "node:events";
import { CallLimit } from "../../call-limit.ts";
import { describeError } from "../../describe-error.ts";
import { DeadLetterError, KcError } from "../../errors.ts";
import { classifySdkError, withoutResponse, type SdkFailure } from "../../sdk-failure.ts";

/** How an error of an AWS service is treated: a row of an adapter's error table. */
export interface LetterFailure {
  /** True if the same call may succeed later without any change. */
  readonly retryable: boolean;
  /** What happened or what to do, for the error's message. */
  readonly advice: string;
}

export interface LetterCallsOptions {
  /** The queue's name in messages: `SQS queue https://…`. */
  readonly where: string;
  /** The timeout of one call, in milliseconds. */
  readonly timeoutMs: number;
  /** The service-specific errors, by their `name`. */
  readonly failures: Readonly<Record<string, LetterFailure>>;
  /** The advice for a caller that lacks permission. */
  readonly denied: string;
}

/**
 * Makes the calls of one queue to an AWS service. Each call has a timeout, and ends when its caller's signal
 * aborts or the queue is closed. Errors become DeadLetterErrors that say what to do.
 */
export class LetterCalls {
  readonly where: string;
  readonly #options: LetterCallsOptions;
  readonly #closing = new AbortController();

  constructor(options: LetterCallsOptions) {
    this.where = options.where;
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // each running call adds a listener
  }

  /**
   * Returns what `call` returns. `call` gets a signal for the client's `abortSignal`.
   * @throws DeadLetterError for every failure except an abort, which rejects with the signal's reason
   */
  async run<Answer>(
    call: (signal: AbortSignal) => Promise<Answer>,
    signal?: AbortSignal,
  ): Promise<Answer> {
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
    const { timeoutMs } = this.#options;
    const limit = new CallLimit({
      timeoutMs,
      onTimeout: () =>
        this.failure({ retryable: true, advice: `there was no answer within ${timeoutMs} ms` }),
      signals: [this.#closing.signal, signal],
    });
    try {
      // A client that waits for credentials notices an abort late.
      return await limit.wait(call(limit.signal));
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      if (KcError.is(error)) throw error;
      throw this.failureOf(error);
    } finally {
      limit.stop();
    }
  }

  /** The error to throw for an error of the client or the service. */
  failureOf(error: unknown): DeadLetterError {
    return this.failure(this.#meaningOf(error), error);
  }

  /** The error to throw for a failure. */
  failure({ retryable, advice }: LetterFailure, cause?: unknown): DeadLetterError {
    const details = cause === undefined ? "" : ` (${describeError(cause)})`;
    return new DeadLetterError(
      retryable ? "DEAD_LETTERS_UNAVAILABLE" : "DEAD_LETTERS_REFUSED",
      `${this.where}: ${advice}${details}`,
      { retryable, cause: withoutResponse(cause) },
    );
  }

  /** Running and later calls reject with DEAD_LETTERS_CLOSED. Idempotent. */
  close(): void {
    this.#closing.abort(
      new DeadLetterError("DEAD_LETTERS_CLOSED", `${this.where}: the queue was closed`),
    );
  }

  /** @throws DeadLetterError after `close` */
  checkOpen(): void {
    this.#closing.signal.throwIfAborted();
  }

  #meaningOf(error: unknown): LetterFailure {
    const { failures, denied } = this.#options;
    const name = (error as { readonly name?: unknown } | undefined)?.name;
    if (typeof name === "string" && Object.hasOwn(failures, name)) return failures[name]!;
    const failure = classifySdkError(error);
    return failure === "denied" ? { retryable: false, advice: denied } : MEANINGS[failure];
  }
}

const MEANINGS: Readonly<Record<Exclude<SdkFailure, "denied">, LetterFailure>> = {
  throttled: { retryable: true, advice: "the service throttles" },
  transient: { retryable: true, advice: "the service cannot be reached, or fails" },
  permanent: { retryable: false, advice: "the request was refused" },
  unknown: { retryable: false, advice: "the call failed with an unknown error" },
};
