/**
 * Exponential backoff with full jitter: a random delay between 0 and a bound that doubles with each
 * failure, so that clients that failed together do not retry together.
 */
export interface BackoffPolicy {
  /** Bound of the first delay, in milliseconds. */
  readonly baseMs: number;
  /** Maximum of the bound, in milliseconds. */
  readonly maxMs: number;
}

/**
 * The delay in milliseconds: at least 1, so that no loop spins.
 * @param failures consecutive failures, from 1
 * @param random returns numbers in [0, 1)
 */
export function backoffMs(
  failures: number,
  { baseMs, maxMs }: BackoffPolicy,
  random: () => number,
): number {
  const bound = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.max(1, random() * bound);
}
