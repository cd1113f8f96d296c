import type { Clock } from "@kc/core";
import type { LambdaContext } from "./lambda-event.ts";

/**
 * The time of one invocation: no record is started in its last part, and handlers that are under way in the
 * middle of that part are not waited for, so that there is time to answer. An invocation that is not
 * answered in time repeats everything.
 */
export class TimeLeft {
  /** How long that last part is, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  /** One for both: a handler that rejects with it has followed a stop, and has not failed. */
  readonly #over = new DOMException("the function's time is nearly over", "AbortError");
  readonly #cancels: readonly (() => void)[];

  /** @param drainTimeoutMs the longest that it may be */
  constructor(context: LambdaContext | undefined, drainTimeoutMs: number, clock: Clock) {
    const leftMs = Math.max(0, context?.getRemainingTimeInMillis() ?? Infinity);
    this.drainTimeoutMs = Math.min(drainTimeoutMs, leftMs / 2);
    this.#cancels =
      leftMs === Infinity
        ? []
        : [
            clock.setTimer(() => this.#stop.abort(this.#over), leftMs - this.drainTimeoutMs),
            clock.setTimer(() => this.#abandon.abort(this.#over), leftMs - this.drainTimeoutMs / 2),
          ];
  }

  /** Aborts when no further record is to be started. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborts when handlers are not waited for any longer. */
  get abandon(): AbortSignal {
    return this.#abandon.signal;
  }

  /** The invocation is answered. */
  close(): void {
    for (const cancel of this.#cancels) cancel();
  }
}
