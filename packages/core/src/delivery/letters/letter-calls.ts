import { setMaxListeners } from "node:events";
import { CallLimit } from "../../call-limit.ts";
import { describeError } from "../../describe-error.ts";
import { DeadLetterError, KcError } from "../../errors.ts";
import { classifySdkError, withoutResponse, type SdkFailure } from "../../sdk-failure.ts";

/** What an error of an AWS service means for dead letters: a row of an adapter's table of errors. */
export interface LetterFailure {
  /** Does the same call pass a little later, with nothing changed? */
  readonly retryable: boolean;
  /** What happened, or what to do, for the error's message. */
  readonly advice: string;
}

export interface LetterCallsOptions {
  /** The queue, for messages: `SQS queue https://…`. */
  readonly where: string;
  /** How long one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** The errors of this service alone, by their `name`. */
  readonly failures: Readonly<Record<string, LetterFailure>>;
  /** What a caller without the right to call should do. */
  readonly denied: string;
}

/**
 * The calls of one queue to an AWS service: each has a time-out, and ends with its caller's signal and
 * with the queue's close. What it fails with becomes a DeadLetterError that says what to do.
 */
export class LetterCalls {
  readonly where: string;
  readonly #options: LetterCallsOptions;
  readonly #closing = new AbortController();

  constructor(options: LetterCallsOptions) {
    this.where = options.where;
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // each call under way listens
  }

  /**
   * What `call` answers; it gets a signal for the client's `abortSignal`.
   * @throws DeadLetterError for everything but an abort, which rejects with the signal's reason
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
      // A client learns of an abort late if it waits for credentials.
      return await limit.wait(call(limit.signal));
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      if (KcError.is(error)) throw error;
      throw this.failureOf(error);
    } finally {
      limit.stop();
    }
  }

  /** The error to throw for what the client threw, or the service answered. */
  failureOf(error: unknown): DeadLetterError {
    return this.failure(this.#meaningOf(error), error);
  }

  /** The error to throw for a failure. */
  failure({ retryable, advice }: LetterFailure, cause?: unknown): DeadLetterError {
    const said = cause === undefined ? "" : ` (${describeError(cause)})`;
    return new DeadLetterError(
      retryable ? "DEAD_LETTERS_UNAVAILABLE" : "DEAD_LETTERS_REFUSED",
      `${this.where}: ${advice}${said}`,
      { retryable, cause: withoutResponse(cause) },
    );
  }

  /** Idempotent. Calls under way reject with DEAD_LETTERS_CLOSED, and so do later ones. */
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
  passing: { retryable: true, advice: "the service cannot be reached, or fails" },
  lasting: { retryable: false, advice: "the request was refused" },
  unknown: { retryable: false, advice: "the call failed in a way that is not known here" },
};
