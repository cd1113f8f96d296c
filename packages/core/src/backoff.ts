/**
 * Exponential backoff with full jitter: a random wait between 0 and a bound that doubles with each
 * failure, so that many clients that failed together do not come back together.
 */
export interface BackoffPolicy {
  /** Bound of the first wait, in milliseconds. */
  readonly baseMs: number;
  /** No bound grows past this. */
  readonly maxMs: number;
}

/** `failures` counts from 1; `random` answers in [0, 1). At least 1 ms, so that no loop spins. */
export function backoffMs(
  failures: number,
  { baseMs, maxMs }: BackoffPolicy,
  random: () => number,
): number {
  const bound = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.max(1, random() * bound);
}
