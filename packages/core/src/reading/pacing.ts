/** A shard serves five GetRecords calls a second, to all applications together. */
export const POLL_FLOOR_MS = 200;

/** A scan polls so often without widening intervals: that takes about half of a core. */
const MAX_POLLS_PER_SECOND = 1000;

/** The jitter of idle shards' intervals, so that their polls spread. */
const JITTER = 0.1;

/**
 * Idle shards are polled at moments that lie so far apart, in milliseconds: a process that wakes for a
 * single poll takes twice the CPU for it.
 */
const MOMENT_MS = 50;

export interface PollOptions {
  readonly scanIntervalMs: number;
  readonly idleIntervalMs: number;
  readonly immediateRescan: boolean;
}

/** What the time of the next poll depends on. */
export interface PollState {
  /** Since the last poll *began*: a slow handler uses up the interval, and causes no burst. */
  readonly sinceLastPollMs: number;
  /** By the monotonic clock. */
  readonly now: number;
  readonly recordsInPage: number;
  readonly millisBehindLatest: number;
  /** How many shards this scan reads. */
  readonly shards: number;
  /** How many polls of idle shards fit into a second, all shards together. */
  readonly idlePollsPerSecond: number;
  /** A random number in [0, 1). */
  readonly chance: number;
}

/**
 * How long to wait before the next poll of a shard, pure. With `immediateRescan`, a page
 * with records that is still behind is followed at once, an empty one as soon as the shard's quota
 * allows. All else waits for the interval. No interval is shorter than the quota's 200 ms. An idle
 * shard's interval has jitter, is wider if there are many shards or the calls are slow, and ends at a
 * moment that it shares with others'.
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
  const askedMs = tooMany ? Math.max(intervalMs, idleIntervalMs) : intervalMs;
  return Math.max(askedMs, (shards * 1000) / idlePollsPerSecond);
}

function jitteredIdlePaceMs(
  options: PollOptions,
  { shards, idlePollsPerSecond, chance, now, sinceLastPollMs }: PollState,
): number {
  const paceMs = idlePaceMs(options, shards, idlePollsPerSecond);
  const intervalMs = Math.max(POLL_FLOOR_MS, paceMs * (1 - JITTER + 2 * JITTER * chance));
  const began = now - sinceLastPollMs;
  const shared = Math.round((began + intervalMs) / MOMENT_MS) * MOMENT_MS - began;
  return shared < POLL_FLOOR_MS ? intervalMs : shared;
}
