import { backoffMs, type BackoffPolicy } from "./backoff.ts";

export interface RetryOptions<Answer> {
  readonly signal: AbortSignal;
  /** Bounds of the delays between attempts. */
  readonly backoff: BackoffPolicy;
  /** Returns random numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** Makes one attempt. Called again after each failure. */
  readonly attempt: () => Promise<Answer>;
  /**
   * Handles a failed attempt: throws if there is to be no other one, and reports it otherwise. Returns the number
   * of consecutive failures, which sets the delay.
   */
  readonly onFailure: (error: unknown) => number | Promise<number>;
  /** Waits `ms` milliseconds, or until the signal aborts. */
  readonly pause: (ms: number) => Promise<void>;
}

/**
 * The retry loop of calls to Kinesis and to the store: repeats the attempt until it succeeds. `onFailure` is not
 * called for a failure after the signal aborted.
 * @throws the signal's reason, or what `onFailure` throws
 */
export async function retry<Answer>(options: RetryOptions<Answer>): Promise<Answer> {
  const { signal, backoff, random, attempt, onFailure, pause } = options;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      await pause(backoffMs(await onFailure(error), backoff, random));
    }
  }
}
