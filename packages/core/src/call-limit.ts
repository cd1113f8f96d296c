import { setTimer, systemClock, type Clock } from "./clock.ts";

/** However often its time starts over, a call ends after so many times as long. */
const MOST_TIMES = 10;

/** On the options of a call: the limit itself, which needs no signal and no listener. */
export const LIMIT: unique symbol = Symbol.for("@kc/limit");

/** Options of a call by a client of the SDK. */
export interface LimitedOptions {
  /** Made when it is asked for. */
  readonly abortSignal: AbortSignal;
  readonly [LIMIT]: CallLimit;
}

/**
 * How long one call goes on: until it answers, one of the signals aborts, or its time is over,
 * whichever is first. It holds even if what is called ignores the signal.
 *
 * `stop()` when the call has ended: until then it keeps a timer and a listener on each signal.
 */
export class CallLimit {
  readonly #clock: Clock;
  readonly #began: number;
  readonly #onTimeout: () => Error;
  readonly #signals: readonly (AbortSignal | undefined)[];
  /** One of the signals has aborted. */
  readonly #onAbort = (): void => this.end(this.#signals.find((one) => one?.aborted)?.reason);
  #timeoutMs: number;
  /** When its time began, the last time. */
  #renewedAt: number;
  #cancelTimer: () => void = () => {};
  /** It was over before its answer. */
  #over: { readonly reason: unknown } | undefined;
  /** What is called when that happens. */
  readonly #waiting: ((reason: unknown) => void)[] = [];
  #controller: AbortController | undefined;
  #options: LimitedOptions | undefined;

  /** `onTimeout` makes the reason after `timeoutMs` milliseconds; a signal brings its own. */
  constructor(options: {
    readonly timeoutMs: number;
    readonly onTimeout: () => Error;
    readonly signals: readonly (AbortSignal | undefined)[];
    /** @default the machine's */
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

  /** Is the call over before its answer? */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Aborts when the call is over before its answer. Its `reason` says why. Most calls need none. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over !== undefined) this.#controller.abort(this.#over.reason);
    }
    return this.#controller.signal;
  }

  /** What a client of the SDK is called with. */
  get options(): LimitedOptions {
    const signal = (): AbortSignal => this.signal;
    return (this.#options ??= {
      get abortSignal() {
        return signal();
      },
      [LIMIT]: this,
    });
  }

  /** The call is over before its answer, for another reason. The first one counts. */
  end(reason: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = { reason };
    // Who waits learns of it first, then what was called: its own error does not come between.
    for (const tell of this.#waiting.splice(0)) tell(reason);
    this.#controller?.abort(reason);
  }

  /** What `work` answers. @throws the reason itself, if the call is over first */
  wait<Answer>(work: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.whenOver(reject);
      work.then(resolve, reject);
    });
  }

  /** Calls back once with the reason when the call is over before its answer: at once if it is. */
  whenOver(tell: (reason: unknown) => void): void {
    if (this.#over === undefined) this.#waiting.push(tell);
    else tell(this.#over.reason);
  }

  /** The call may take `timeoutMs` milliseconds from its beginning, if that is less than before. */
  shorten(timeoutMs: number): void {
    if (timeoutMs >= this.#timeoutMs || this.isOver) return;
    this.#timeoutMs = timeoutMs;
    this.#cancelTimer();
    this.#setTimer();
  }

  /** Its time starts over: there was a sign that the call goes on. Ten times over at most. */
  renew(): void {
    this.#renewedAt = this.#clock.monotonic();
  }

  /** The call has ended. */
  stop(): void {
    this.#cancelTimer();
    for (const signal of this.#signals) signal?.removeEventListener("abort", this.#onAbort);
  }

  /** Looks at the time when it was to be over, and waits for what was added since. */
  #setTimer(): void {
    const last = this.#began + (MOST_TIMES - 1) * this.#timeoutMs;
    const leftMs = (): number =>
      Math.min(this.#renewedAt, last) + this.#timeoutMs - this.#clock.monotonic();
    this.#cancelTimer = setTimer(
      this.#clock,
      () => (leftMs() >= 1 ? this.#setTimer() : this.end(this.#onTimeout())),
      leftMs(),
    );
  }
}
