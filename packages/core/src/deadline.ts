import { CallLimit } from "./call-limit.ts";
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
  const { signal, ...rest } = options;
  signal.throwIfAborted();
  const limit = new CallLimit({ ...rest, signals: [signal] });
  try {
    return await limit.wait(call(limit.signal));
  } finally {
    limit.stop();
  }
}
