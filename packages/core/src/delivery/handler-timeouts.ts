import type { Clock } from "../clock.ts";
import type { SharedTimer } from "../shared-timer.ts";

/** A call of the handler that may take too long. */
export interface TimedCall {
  /** It has taken `handlerTimeoutMs`: its signal is to abort. */
  onTimeout(timeoutMs: number): void;
  /** It did not return within the time that it had after that: it is not waited for any more. */
  onOverdue(): void;
}

/**
 * `handlerTimeoutMs`: calls in the order in which they began, which is the order in which their time is
 * over, behind one timer. A sync handler holds the event loop, and no timer ends it.
 */
export class HandlerTimeouts {
  readonly #clock: Clock;
  readonly #timer: SharedTimer;
  readonly #timeoutMs: number;
  readonly #graceMs: number;
  /** When each call's time is over, by the monotonic clock. */
  readonly #running = new Map<TimedCall, number>();
  readonly #late = new Map<TimedCall, number>();
  #cancel: (() => void) | undefined;

  /** @param graceMs how long a handler may take to return once its time is over */
  constructor(
    { clock, timer }: { readonly clock: Clock; readonly timer: SharedTimer },
    timeoutMs: number,
    graceMs: number,
  ) {
    this.#clock = clock;
    this.#timer = timer;
    this.#timeoutMs = timeoutMs;
    this.#graceMs = graceMs;
  }

  /** A call has not returned at once. @param startedAt by the monotonic clock */
  add(call: TimedCall, startedAt: number): void {
    this.#running.set(call, startedAt + this.#timeoutMs);
    this.#arm();
  }

  /** It has returned. */
  delete(call: TimedCall): void {
    if (!this.#running.delete(call)) this.#late.delete(call);
  }

  /** No call is timed any more. */
  close(): void {
    this.#running.clear();
    this.#late.clear();
    this.#cancel?.();
  }

  #arm(): void {
    if (this.#cancel !== undefined) return;
    const soonest = Math.min(firstOf(this.#running), firstOf(this.#late));
    if (soonest === Infinity) return;
    this.#cancel = this.#timer.after(soonest - this.#clock.monotonic(), () => {
      this.#cancel = undefined;
      this.#expire(this.#clock.monotonic());
      this.#arm();
    });
  }

  #expire(now: number): void {
    for (const [call, at] of this.#running) {
      if (at > now) break;
      this.#running.delete(call);
      this.#late.set(call, now + this.#graceMs);
      call.onTimeout(this.#timeoutMs);
    }
    for (const [call, at] of this.#late) {
      if (at > now) break;
      this.#late.delete(call);
      call.onOverdue();
    }
  }
}

function firstOf(times: ReadonlyMap<TimedCall, number>): number {
  for (const at of times.values()) return at;
  return Infinity;
}
