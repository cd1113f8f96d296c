import type { Clock } from "@kc/core";
import type { LambdaContext } from "./lambda-event.ts";

/**
 * The deadline of one invocation. In the drain time at its end no record is started, and handlers that still run in the
 * middle of the drain time are abandoned, so that there is time to respond. An invocation that times out repeats all its
 * records.
 */
export class InvocationDeadline {
  /** The drain time, in milliseconds. */
  readonly drainTimeoutMs: number;
  readonly #stop = new AbortController();
  readonly #abandon = new AbortController();
  /** The abort reason of both signals. A handler that rejects with it has obeyed a stop, and has not failed. */
  readonly #reason = new DOMException("the function's time is nearly over", "AbortError");
  readonly #cancels: readonly (() => void)[];

  /** @param drainTimeoutMs the maximum drain time, in milliseconds */
  constructor(context: LambdaContext | undefined, drainTimeoutMs: number, clock: Clock) {
    const leftMs = Math.max(0, context?.getRemainingTimeInMillis() ?? Infinity);
    this.drainTimeoutMs = Math.min(drainTimeoutMs, leftMs / 2);
    this.#cancels =
      leftMs === Infinity
        ? []
        : [
            clock.setTimer(() => this.#stop.abort(this.#reason), leftMs - this.drainTimeoutMs),
            clock.setTimer(
              () => this.#abandon.abort(this.#reason),
              leftMs - this.drainTimeoutMs / 2,
            ),
          ];
  }

  /** Aborts when no further record may be started. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborts when running handlers are abandoned. */
  get abandon(): AbortSignal {
    return this.#abandon.signal;
  }

  /** Called when the invocation has ended. Cancels the timers. */
  close(): void {
    for (const cancel of this.#cancels) cancel();
  }
}
