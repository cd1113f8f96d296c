import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs } from "../src/backoff.ts";
import { nextPollDelayMs, POLL_FLOOR_MS, type PollState } from "../src/scan/pacing.ts";

const interval = fc.integer({ min: 0, max: 100_000 });
const state: fc.Arbitrary<PollState> = fc.record({
  sinceLastPollMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
  recordsInPage: fc.integer({ min: 0, max: 10_000 }),
  millisBehindLatest: fc.integer({ min: 0, max: 1e9 }),
});

test("without immediate rescan every poll keeps the interval, and never less than the quota's", () => {
  fc.assert(
    fc.property(interval, state, (scanIntervalMs, at) => {
      const delay = nextPollDelayMs({ scanIntervalMs, immediateRescan: false }, at);
      const least = Math.max(scanIntervalMs, POLL_FLOOR_MS);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(at.sinceLastPollMs + delay).toBeGreaterThanOrEqual(least - 1e-6);
      if (delay > 0) expect(at.sinceLastPollMs + delay).toBeCloseTo(least, 6);
    }),
  );
});

test("immediate rescan: behind with records at once, behind without them by the quota, else the interval", () => {
  fc.assert(
    fc.property(interval, state, (scanIntervalMs, at) => {
      const delay = nextPollDelayMs({ scanIntervalMs, immediateRescan: true }, at);
      const whole = nextPollDelayMs(
        { scanIntervalMs, immediateRescan: true },
        { ...at, sinceLastPollMs: 0 },
      );
      expect(delay).toBeLessThanOrEqual(whole);
      if (at.millisBehindLatest === 0) expect(whole).toBe(Math.max(scanIntervalMs, POLL_FLOOR_MS));
      else expect(whole).toBe(at.recordsInPage > 0 ? 0 : POLL_FLOOR_MS);
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
