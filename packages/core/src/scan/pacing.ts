/** A shard serves five GetRecords calls a second, to all applications together. */
export const POLL_FLOOR_MS = 200;

export interface PollOptions {
  readonly scanIntervalMs: number;
  readonly immediateRescan: boolean;
}

/** What is known when a page has been handled and the next poll is to be timed. */
export interface PollState {
  /** Since the last poll *began*: a slow handler uses the interval up, and makes no burst. */
  readonly sinceLastPollMs: number;
  readonly recordsInPage: number;
  readonly millisBehindLatest: number;
}

/**
 * How long to wait before the next poll of a shard, pure. With `immediateRescan` a page that
 * brought records and is still behind is followed at once, an empty one as soon as the shard's
 * quota allows. All else waits for the interval; no interval is shorter than the quota's 200 ms.
 */
export function nextPollDelayMs(
  { scanIntervalMs, immediateRescan }: PollOptions,
  { sinceLastPollMs, recordsInPage, millisBehindLatest }: PollState,
): number {
  const catchingUp = immediateRescan && millisBehindLatest > 0;
  if (catchingUp && recordsInPage > 0) return 0;
  const intervalMs = catchingUp ? POLL_FLOOR_MS : Math.max(scanIntervalMs, POLL_FLOOR_MS);
  return Math.max(0, intervalMs - sinceLastPollMs);
}
