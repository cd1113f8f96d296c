import { FakeClock } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ReadQuota } from "../src/reading/read-quota.ts";

const MIB = 2 ** 20;

/** Reads as fast as the quota lets it: when each call went, and what it brought. */
async function readFor(
  seconds: number,
  share: number,
  replyBytes: (call: number) => number,
  onCall: (quota: ReadQuota, call: number) => void = () => {},
): Promise<{ at: number; bytes: number }[]> {
  const clock = new FakeClock();
  const quota = new ReadQuota(clock, share);
  const calls: { at: number; bytes: number }[] = [];
  for (;;) {
    for (let waitMs = quota.delayMs(); waitMs > 0; waitMs = quota.delayMs()) {
      await clock.advance(waitMs);
    }
    if (clock.monotonic() >= seconds * 1000) return calls;
    const bytes = replyBytes(calls.length);
    quota.sent();
    quota.received(bytes);
    calls.push({ at: clock.monotonic(), bytes });
    onCall(quota, calls.length - 1);
  }
}

test("nobody is kept waiting who asks for little", () => {
  const quota = new ReadQuota(new FakeClock(), 1);
  expect(quota.delayMs()).toBe(0);
  quota.sent();
  quota.received(1000);
  expect(quota.delayMs()).toBe(0);
});

test("after a reply of 10 MiB nothing is asked for 5 s", async () => {
  const calls = await readFor(20, 1, () => 10 * MIB);
  expect(calls.map(({ at }) => at)).toEqual([0, 5000, 10_000, 15_000]);
});

test("calls keep to five a second, and bytes to 2 MiB a second, of our share of them", async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 10 * MIB }), { minLength: 1, maxLength: 20 });
  const shares = fc.double({ min: 0.05, max: 1, noNaN: true });
  await fc.assert(
    fc.asyncProperty(sizes, shares, async (replies, share) => {
      const calls = await readFor(30, share, (call) => replies[call % replies.length]!);
      // A second's worth may have been saved up, and the last reply is paid for afterwards.
      const saved = Math.max(1, 5 * share);
      expect(calls.length).toBeLessThanOrEqual(30 * 5 * share + saved + 1);
      const bytes = calls.slice(0, -1).reduce((sum, call) => sum + call.bytes, 0);
      expect(bytes).toBeLessThanOrEqual((30 + 1 / share) * 2 * MIB * share + 10 * MIB);
    }),
    { numRuns: 30 },
  );
});

test("the quota is used: small replies go at five a second, large ones at 2 MiB a second", async () => {
  expect((await readFor(30, 1, () => 100)).length).toBeGreaterThanOrEqual(150);
  const large = await readFor(30, 1, () => 1.5 * MIB);
  expect(large.length * 1.5).toBeGreaterThanOrEqual(0.9 * 60);
  expect((await readFor(30, 0.5, () => 100)).length).toBeLessThanOrEqual(78);
});

test("requests that the SDK repeated count too", async () => {
  const repeated = await readFor(
    30,
    1,
    () => 100,
    (quota) => quota.sent(2),
  );
  expect(repeated.length).toBeLessThanOrEqual(52);
});

test("refusals make room for others, down to a fifth; without them it comes back", async () => {
  const always = await readFor(
    60,
    1,
    () => 100,
    (quota) => quota.throttled(),
  );
  expect(always.length).toBeGreaterThanOrEqual(60);
  expect(always.length).toBeLessThanOrEqual(80);
  const once = await readFor(
    60,
    1,
    () => 100,
    (quota, call) => {
      if (call < 5) quota.throttled();
    },
  );
  const perSecond = (from: number, to: number): number =>
    once.filter(({ at }) => at >= from * 1000 && at < to * 1000).length / (to - from);
  expect(perSecond(1, 5)).toBeLessThan(3);
  expect(perSecond(30, 60)).toBeCloseTo(5, 0);
});
