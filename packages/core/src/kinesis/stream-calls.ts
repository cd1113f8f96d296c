import type { Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import { callFailure, type CallTarget } from "./call-failure.ts";
import { Caller } from "./call-permit.ts";
import type { CallRetry, RetriedCall } from "./call-retry.ts";
import { CallSemaphore } from "./call-semaphore.ts";
import type { CallSender } from "./call-sender.ts";

/** None of these calls counts as late. */
const SIZE = { regular: 2, late: 0 };

export interface StreamCallsOptions {
  readonly sender: CallSender;
  readonly retry: CallRetry;
  readonly clock: Clock;
  /** Where the calls go, as far as it is known. */
  readonly target: () => CallTarget;
}

/** The calls for the stream as a whole. They do not wait behind the calls for shards. */
export class StreamCalls {
  readonly #options: StreamCallsOptions;
  readonly #semaphore: CallSemaphore;

  constructor(options: StreamCallsOptions) {
    this.#options = options;
    this.#semaphore = new CallSemaphore(options.clock, SIZE);
  }

  /**
   * Calls until it succeeds, as `CallRetry` does.
   * @param read gets the answer out of a reply. If it throws, the attempt has failed
   */
  call<Output, Answer>(
    call: RetriedCall,
    command: object,
    signal: AbortSignal,
    read: (output: Output) => Answer,
  ): Promise<Answer> {
    return this.#options.retry.run(call, signal, () =>
      this.callOnce(call.operation, command, signal, read),
    );
  }

  /** Calls without retries. */
  async callOnce<Output, Answer>(
    operation: string,
    command: object,
    signal: AbortSignal,
    read: (output: Output) => Answer,
  ): Promise<Answer> {
    const permit = await this.#semaphore.acquire(new Caller(), signal);
    try {
      return read(await this.#options.sender.send(operation, command, permit, signal));
    } finally {
      permit.release();
    }
  }

  /** Converts the error of a call to a KcError. The signal's reason, and a KcError, stay as they are. */
  failure(operation: string, error: unknown, signal: AbortSignal): unknown {
    if (KcError.is(error) || (signal.aborted && error === signal.reason)) return error;
    return callFailure({ operation, target: this.#options.target(), triedForMs: 0 }, error);
  }
}
