/** A shard serves five GetRecords calls per second, to all applications together. */
export const POLL_FLOOR_MS = 200;

/** Up to this rate, a scan does not widen its intervals. It costs about half a core. */
const MAX_POLLS_PER_SECOND = 1000;

/** The jitter of idle shards' intervals, which spreads their polls. */
const JITTER = 0.1;

/**
 * Idle shards are polled at multiples of this interval, in milliseconds, so that several polls share one wake-up:
 * a wake-up for a single poll doubles its CPU cost.
 */
const WAKE_INTERVAL_MS = 50;

export interface PollOptions {
  readonly scanIntervalMs: number;
  readonly idleIntervalMs: number;
  readonly immediateRescan: boolean;
}

/** What determines the time of the next poll. */
export interface PollState {
  /** Since the last poll *began*: a slow handler uses up the interval, without a burst afterwards. */
  readonly sinceLastPollMs: number;
  /** By the monotonic clock. */
  readonly now: number;
  readonly recordsInPage: number;
  readonly millisBehindLatest: number;
  /** The number of shards that this scan is reading. */
  readonly shards: number;
  /** How many polls of idle shards are possible per second, over all shards. */
  readonly idlePollsPerSecond: number;
  /** A random number in [0, 1). */
  readonly chance: number;
}

/**
 * Returns how long to wait before the next poll of a shard. Pure.
 *
 * With `immediateRescan`, the next poll of a shard that is behind its tip follows immediately after a page with
 * records, and as soon as the shard's quota allows after an empty page. Otherwise the poll waits for the interval,
 * which is at least the quota's 200 ms. The interval of an idle shard has jitter, is longer if there are many shards
 * or the calls are slow, and ends at a shared wake-up.
 */
export function nextPollDelayMs(options: PollOptions, state: PollState): number {
  const { recordsInPage, millisBehindLatest, sinceLastPollMs } = state;
  const behind = millisBehindLatest > 0;
  const catchingUp = options.immediateRescan && behind;
  if (catchingUp && recordsInPage > 0) return 0;
  const idle = !behind && recordsInPage === 0;
  const intervalMs = catchingUp
    ? POLL_FLOOR_MS
    : idle
      ? jitteredIdlePaceMs(options, state)
      : Math.max(options.scanIntervalMs, POLL_FLOOR_MS);
  return Math.max(0, intervalMs - sinceLastPollMs);
}

/** The interval of an idle shard before jitter. */
export function idlePaceMs(
  { scanIntervalMs, idleIntervalMs }: PollOptions,
  shards: number,
  idlePollsPerSecond: number,
): number {
  const intervalMs = Math.max(scanIntervalMs, POLL_FLOOR_MS);
  const tooMany = (shards * 1000) / intervalMs > MAX_POLLS_PER_SECOND;
  const wantedMs = tooMany ? Math.max(intervalMs, idleIntervalMs) : intervalMs;
  return Math.max(wantedMs, (shards * 1000) / idlePollsPerSecond);
}

function jitteredIdlePaceMs(
  options: PollOptions,
  { shards, idlePollsPerSecond, chance, now, sinceLastPollMs }: PollState,
): number {
  const paceMs = idlePaceMs(options, shards, idlePollsPerSecond);
  const intervalMs = Math.max(POLL_FLOOR_MS, paceMs * (1 - JITTER + 2 * JITTER * chance));
  const began = now - sinceLastPollMs;
  const shared = Math.round((began + intervalMs) / WAKE_INTERVAL_MS) * WAKE_INTERVAL_MS - began;
  return shared < POLL_FLOOR_MS ? intervalMs : shared;
}
