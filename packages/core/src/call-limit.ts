import { setTimer, systemClock, type Clock } from "./clock.ts";

/** However often its time starts over, a call ends after so many times as long. */
const MOST_TIMES = 10;

/**
 * How long one call goes on: until it answers, one of the signals aborts, or its time is over,
 * whichever is first. It holds even if what is called ignores the signal.
 *
 * `stop()` when the call has ended: until then it keeps a timer and a listener on each signal.
 */
export class CallLimit {
  readonly #clock: Clock;
  readonly #over = new AbortController();
  readonly #ended: Promise<never>;
  readonly #reject: (reason: unknown) => void;
  readonly #began: number;
  readonly #onTimeout: () => void;
  readonly #forget: readonly (() => void)[];
  #timeoutMs: number;
  /** When its time began, the last time. */
  #renewedAt: number;
  #cancelTimer: () => void = () => {};

  /** `onTimeout` makes the reason after `timeoutMs` milliseconds; a signal brings its own. */
  constructor(options: {
    readonly timeoutMs: number;
    readonly onTimeout: () => Error;
    readonly signals: readonly (AbortSignal | undefined)[];
    /** @default the machine's */
    readonly clock?: Clock;
  }) {
    const { timeoutMs, onTimeout, signals, clock = systemClock } = options;
    let reject: (reason: unknown) => void = () => undefined;
    this.#ended = new Promise((_resolve, rejectEnded) => (reject = rejectEnded));
    this.#reject = reject;
    // It may end while no caller waits.
    this.#ended.catch(() => undefined);
    this.#clock = clock;
    this.#began = this.#renewedAt = clock.monotonic();
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = () => this.end(onTimeout());
    this.#setTimer();
    this.#forget = signals.map((signal) => {
      const onAbort = (): void => this.end(signal?.reason);
      if (signal?.aborted) onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      return () => signal?.removeEventListener("abort", onAbort);
    });
  }

  /** Aborts when the call is over before its answer. Its `reason` says why. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** The call is over before its answer, for another reason. The first one counts. */
  end(reason: unknown): void {
    // Who waits learns of it first, then what was called: its own error does not come between.
    this.#reject(reason);
    this.#over.abort(reason);
  }

  /** What `work` answers. @throws the reason itself, if the call is over first */
  wait<Answer>(work: Promise<Answer>): Promise<Answer> {
    return Promise.race([this.#ended, work]);
  }

  /** The call may take `timeoutMs` milliseconds from its beginning, if that is less than before. */
  shorten(timeoutMs: number): void {
    if (timeoutMs >= this.#timeoutMs || this.#over.signal.aborted) return;
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
    for (const each of this.#forget) each();
  }

  /** Looks at the time when it was to be over, and waits for what was added since. */
  #setTimer(): void {
    const last = this.#began + (MOST_TIMES - 1) * this.#timeoutMs;
    const leftMs = (): number =>
      Math.min(this.#renewedAt, last) + this.#timeoutMs - this.#clock.monotonic();
    this.#cancelTimer = setTimer(
      this.#clock,
      () => (leftMs() >= 1 ? this.#setTimer() : this.#onTimeout()),
      leftMs(),
    );
  }
}
