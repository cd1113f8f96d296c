import type { Clock } from "./clock.ts";

/** Resolves when the signal aborts; never, if it does not. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * One call that ends when it answers, when the signal aborts (rejecting with its reason), or after
 * `timeoutMs` (rejecting with what `onTimeout` makes) — even if what is called honours no signal.
 */
export async function callWithin<T>(
  call: (signal: AbortSignal) => Promise<T>,
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
    readonly onTimeout: () => Error;
  },
): Promise<T> {
  const { clock, signal, timeoutMs, onTimeout } = options;
  signal.throwIfAborted();
  const inner = new AbortController();
  let end: (reason: unknown) => void = () => {};
  const ended = new Promise<never>((_resolve, reject) => {
    end = (reason) => {
      reject(reason);
      inner.abort(reason);
    };
  });
  const onAbort = (): void => end(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const cancelTimer = clock.setTimer(() => end(onTimeout()), timeoutMs);
  try {
    return await Promise.race([call(inner.signal), ended]);
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", onAbort);
  }
}
