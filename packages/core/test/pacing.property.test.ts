import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "../src/backoff.ts";
import {
  nextPollDelayMs,
  POLL_FLOOR_MS,
  type PollOptions,
  type PollState,
} from "../src/reading/pacing.ts";

const interval = fc.integer({ min: 0, max: 100_000 });
const options: fc.Arbitrary<PollOptions> = fc.record({
  scanIntervalMs: interval,
  idleIntervalMs: interval,
  immediateRescan: fc.boolean(),
});
const state: fc.Arbitrary<PollState> = fc.record({
  sinceLastPollMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
  now: fc.double({ min: 0, max: 1e9, noNaN: true }),
  recordsInPage: fc.integer({ min: 0, max: 10_000 }),
  millisBehindLatest: fc.integer({ min: 0, max: 1e9 }),
  shards: fc.integer({ min: 1, max: 20_000 }),
  idlePollsPerSecond: fc.double({ min: 1, max: 1e5, noNaN: true }),
  chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});
/** How far the next moment is at most; a little is rounding. */
const TO_A_MOMENT_MS = 25 + 1e-6;
const atOnce = { sinceLastPollMs: 0 };
const idle = { ...atOnce, recordsInPage: 0, millisBehindLatest: 0 };

test("the time since the last poll counts, and no delay is negative", () => {
  fc.assert(
    fc.property(options, state, (poll, at) => {
      const began = at.now - at.sinceLastPollMs;
      const whole = nextPollDelayMs(poll, { ...at, ...atOnce, now: began });
      const delay = nextPollDelayMs(poll, at);
      expect(delay).toBeCloseTo(Math.max(0, whole - at.sinceLastPollMs), 6);
    }),
  );
});

test("only immediate rescan goes below the quota's 200 ms, after records and behind", () => {
  fc.assert(
    fc.property(options, state, (poll, at) => {
      const delay = nextPollDelayMs(poll, { ...at, ...atOnce });
      const catchingUp = poll.immediateRescan && at.millisBehindLatest > 0;
      if (catchingUp) expect(delay).toBe(at.recordsInPage > 0 ? 0 : POLL_FLOOR_MS);
      else expect(delay).toBeGreaterThanOrEqual(POLL_FLOOR_MS);
    }),
  );
});

test("a shard that has records, or is behind, keeps the interval exactly, among however many", () => {
  fc.assert(
    fc.property(options, state, (poll, at) => {
      fc.pre(at.recordsInPage > 0 || at.millisBehindLatest > 0);
      const delay = nextPollDelayMs({ ...poll, immediateRescan: false }, { ...at, ...atOnce });
      expect(delay).toBe(Math.max(poll.scanIntervalMs, POLL_FLOOR_MS));
    }),
  );
});

test("an idle shard strays a tenth from its interval, which is the idle one where shards are many", () => {
  fc.assert(
    fc.property(options, state, (poll, at) => {
      const intervalMs = Math.max(poll.scanIntervalMs, POLL_FLOOR_MS);
      const many = (at.shards * 1000) / intervalMs > 1000;
      const askedMs = many ? Math.max(intervalMs, poll.idleIntervalMs) : intervalMs;
      // No shorter than the calls allow.
      const effectiveMs = Math.max(askedMs, (at.shards * 1000) / at.idlePollsPerSecond);
      const delay = nextPollDelayMs(poll, { ...at, ...idle });
      const [least, most] = [0.9, 1.1].map((part) => Math.max(POLL_FLOOR_MS, part * effectiveMs));
      expect(delay).toBeGreaterThanOrEqual(Math.max(POLL_FLOOR_MS, least! - TO_A_MOMENT_MS));
      expect(delay).toBeLessThanOrEqual(most! + TO_A_MOMENT_MS);
      const early = nextPollDelayMs(poll, { ...at, ...idle, chance: 0 });
      const late = nextPollDelayMs(poll, { ...at, ...idle, chance: 0.999 });
      expect(late - early).toBeGreaterThan(
        Math.min(0.19 * effectiveMs, effectiveMs - POLL_FLOOR_MS) - 2 * TO_A_MOMENT_MS,
      );
    }),
  );
});

test("idle shards are polled together, at moments 50 ms apart, unless that is within the quota's 200 ms", () => {
  fc.assert(
    fc.property(options, state, (poll, at) => {
      const delay = nextPollDelayMs(poll, { ...at, ...idle });
      const beside = Math.abs((at.now + delay) / 50 - Math.round((at.now + delay) / 50));
      if (beside > 1e-4) expect(delay).toBeLessThan(POLL_FLOOR_MS + TO_A_MOMENT_MS);
    }),
  );
  const short = fc.integer({ min: 0, max: 230 });
  fc.assert(
    fc.property(short, state, (scanIntervalMs, at) => {
      const poll = { scanIntervalMs, idleIntervalMs: 0, immediateRescan: false };
      const few = { ...at, ...idle, shards: 1, idlePollsPerSecond: 1000 };
      expect(nextPollDelayMs(poll, few)).toBeGreaterThanOrEqual(POLL_FLOOR_MS);
    }),
  );
});

test("a backoff stays below a bound that doubles up to its ceiling, and is never 0", () => {
  const policy = { baseMs: 200, maxMs: 30_000 };
  const failures = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1e9 }));
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(failures, chance, (n, random) => {
      const wait = backoffMs(n, policy, () => random);
      const bound = Math.min(30_000, 200 * 2 ** (n - 1));
      expect(wait).toBeGreaterThanOrEqual(1);
      expect(wait).toBeCloseTo(Math.max(1, random * bound), 6);
    }),
  );
});
