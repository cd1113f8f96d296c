import type { Clock } from "../clock.ts";
import type { SharedTimer } from "../shared-timer.ts";

/** A call of the handler with a timeout. */
export interface TimedCall {
  /** The call has taken `handlerTimeoutMs`: its signal must abort. */
  onTimeout(timeoutMs: number): void;
  /** The call did not return within the grace period after its timeout: it must be abandoned. */
  onOverdue(): void;
}

/**
 * Applies `handlerTimeoutMs` with one timer for all calls of a shard: they time out in the order in which
 * they began. A synchronous handler blocks the event loop, so no timer can end it.
 */
export class HandlerTimeouts {
  readonly #clock: Clock;
  readonly #timer: SharedTimer;
  readonly #timeoutMs: number;
  readonly #graceMs: number;
  /** The deadline of each running call, by the monotonic clock. */
  readonly #running = new Map<TimedCall, number>();
  /** The end of the grace period of each call that has timed out. */
  readonly #late = new Map<TimedCall, number>();
  #cancel: (() => void) | undefined;

  /** @param graceMs how long a handler may take to return after its timeout */
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

  /** Starts the timeout of a call. @param startedAt by the monotonic clock */
  add(call: TimedCall, startedAt: number): void {
    this.#running.set(call, startedAt + this.#timeoutMs);
    this.#arm();
  }

  /** Ends the timeout of a call: it has returned. */
  delete(call: TimedCall): void {
    if (!this.#running.delete(call)) this.#late.delete(call);
  }

  /** Ends all timeouts. */
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
