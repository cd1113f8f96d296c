/**
 * How long one call goes on: until it answers, one of the signals aborts, or its time is over. Its
 * timer and listeners are gone when the call is.
 */
export class Patience {
  readonly #over: Promise<never>;
  readonly #stop: () => void;
  #reason: { readonly value: unknown } | undefined;

  constructor(options: {
    readonly timeoutMs: number;
    readonly onTimeout: () => Error;
    readonly signals: readonly (AbortSignal | undefined)[];
  }) {
    const { timeoutMs, onTimeout, signals } = options;
    let reject: (reason: unknown) => void = () => undefined;
    this.#over = new Promise((_resolve, rejectOver) => (reject = rejectOver));
    // It may end while nobody waits.
    this.#over.catch(() => undefined);
    const end = (value: unknown): void => {
      this.#reason ??= { value };
      reject(this.#reason.value);
    };
    const timer = setTimeout(() => end(onTimeout()), timeoutMs);
    const stops = signals.map((signal) => {
      const onAbort = (): void => end(signal?.reason);
      if (signal?.aborted) onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      return () => signal?.removeEventListener("abort", onAbort);
    });
    this.#stop = () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }

  /** Is it over? Then this is why. */
  get reason(): { readonly value: unknown } | undefined {
    return this.#reason;
  }

  /** What `work` answers. @throws the reason, if it is over first */
  wait<Answer>(work: Promise<Answer>): Promise<Answer> {
    return Promise.race([this.#over, work]);
  }

  /** The call has answered. */
  stop(): void {
    this.#stop();
  }
}
