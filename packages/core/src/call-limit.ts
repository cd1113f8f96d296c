import { setTimer, systemClock, type Clock } from "./clock.ts";

/** A call that is renewed ends after this many timeouts at the latest. */
const MAX_TIMEOUTS = 10;

/** Key of the limit in the options of a call. A callee that knows it needs no signal and no listener. */
export const LIMIT: unique symbol = Symbol.for("@kc/limit");

/** Options of a call of an SDK client. */
export interface LimitedOptions {
  /** Created when it is read. */
  readonly abortSignal: AbortSignal;
  readonly [LIMIT]: CallLimit;
}

/**
 * The timeout and cancellation of one call: it ends when it is answered, when one of the signals aborts, or on
 * timeout, whichever is first. This holds even if the callee ignores the signal.
 *
 * Call `stop()` when the call has ended: until then there is a timer, and a listener on each signal.
 */
export class CallLimit {
  readonly #clock: Clock;
  readonly #began: number;
  readonly #onTimeout: () => Error;
  readonly #signals: readonly (AbortSignal | undefined)[];
  /** One of the signals has aborted. */
  readonly #onAbort = (): void => this.end(this.#signals.find((one) => one?.aborted)?.reason);
  #timeoutMs: number;
  /** When the timeout last started over, by the monotonic clock. */
  #renewedAt: number;
  #cancelTimer: () => void = () => {};
  /** Why the call ended before its answer; undefined = it has not. */
  #over: { readonly reason: unknown } | undefined;
  /** Callbacks of `whenOver`. */
  readonly #waiting: ((reason: unknown) => void)[] = [];
  #controller: AbortController | undefined;
  #options: LimitedOptions | undefined;

  /** `onTimeout` creates the reason of a timeout; after an abort, it is the signal's own reason. */
  constructor(options: {
    readonly timeoutMs: number;
    readonly onTimeout: () => Error;
    readonly signals: readonly (AbortSignal | undefined)[];
    /** @default the system clock */
    readonly clock?: Clock;
  }) {
    const { timeoutMs, onTimeout, signals, clock = systemClock } = options;
    this.#clock = clock;
    this.#began = this.#renewedAt = clock.monotonic();
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
    this.#signals = signals;
    this.#setTimer();
    for (const signal of signals) {
      if (signal?.aborted) this.#onAbort();
      else signal?.addEventListener("abort", this.#onAbort, { once: true });
    }
  }

  /** True if the call ended before its answer. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Aborts with the reason if the call ends before its answer. Created on demand: most calls need none. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over !== undefined) this.#controller.abort(this.#over.reason);
    }
    return this.#controller.signal;
  }

  /** The options to pass to the SDK client's `send`. */
  get options(): LimitedOptions {
    const signal = (): AbortSignal => this.signal;
    return (this.#options ??= {
      get abortSignal() {
        return signal();
      },
      [LIMIT]: this,
    });
  }

  /** Ends the call for this reason, unless it has ended before. */
  end(reason: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = { reason };
    // Callers first, then the callee: they must see this reason, not the callee's own error.
    for (const tell of this.#waiting.splice(0)) tell(reason);
    this.#controller?.abort(reason);
  }

  /** Resolves as `work` does. @throws the reason, if the call ends first */
  wait<Answer>(work: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.whenOver(reject);
      work.then(resolve, reject);
    });
  }

  /** Calls `tell` once with the reason when the call ends before its answer; immediately if it has. */
  whenOver(tell: (reason: unknown) => void): void {
    if (this.#over === undefined) this.#waiting.push(tell);
    else tell(this.#over.reason);
  }

  /** Lowers the timeout to `timeoutMs` milliseconds. A higher value has no effect. */
  shorten(timeoutMs: number): void {
    if (timeoutMs >= this.#timeoutMs || this.isOver) return;
    this.#timeoutMs = timeoutMs;
    this.#cancelTimer();
    this.#setTimer();
  }

  /** Restarts the timeout, because the call makes progress. In all it lasts ten timeouts at most. */
  renew(): void {
    this.#renewedAt = this.#clock.monotonic();
  }

  /** Removes the timer and the listeners. */
  stop(): void {
    this.#cancelTimer();
    for (const signal of this.#signals) signal?.removeEventListener("abort", this.#onAbort);
  }

  /** When the timer fires, it is set again for the time by which `renew` has extended the timeout. */
  #setTimer(): void {
    const last = this.#began + (MAX_TIMEOUTS - 1) * this.#timeoutMs;
    const leftMs = (): number =>
      Math.min(this.#renewedAt, last) + this.#timeoutMs - this.#clock.monotonic();
    this.#cancelTimer = setTimer(
      this.#clock,
      () => (leftMs() >= 1 ? this.#setTimer() : this.end(this.#onTimeout())),
      leftMs(),
    );
  }
}
