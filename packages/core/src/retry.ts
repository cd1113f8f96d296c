import { backoffMs, type BackoffPolicy } from "./backoff.ts";

export interface RetryOptions<Answer> {
  readonly signal: AbortSignal;
  /** Bounds of the waits between tries. */
  readonly backoff: BackoffPolicy;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** One try. It is called again after each failure. */
  readonly attempt: () => Promise<Answer>;
  /**
   * Judges a failure. It throws what is not tried again, and reports the rest. It returns how many
   * tries in a row have failed, which sets the wait.
   */
  readonly onFailure: (error: unknown) => number | Promise<number>;
  /** Waits so many milliseconds, or until the signal aborts. */
  readonly pause: (ms: number) => Promise<void>;
}

/**
 * The one loop of retries: for calls to Kinesis and for calls to the store. It tries until there is an
 * answer. A failure after the signal aborted is not judged.
 * @throws the signal's reason, what `onFailure` throws
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
