import fc from "fast-check";
import { expect, test } from "vitest";
import { WorkerWatch } from "../src/groups/leases/worker-watch.ts";

const TIMING = { leaseMs: 10_000, longestGapMs: 5000 };

const row = (workerId: string, counter: number, incarnation = "i") => ({
  workerId,
  incarnation,
  counter,
  weight: 1,
  maxShards: undefined,
});

const names = (watch: WorkerWatch): string[] =>
  watch.overdue().map(({ worker }) => worker.workerId);

test("a counter that stands still for a lease is overdue, one that moves is not", () => {
  const watch = new WorkerWatch(TIMING);
  for (let second = 0; second < 10; second += 1) {
    watch.observe([row("dead", 7), row("alive", second)], second * 1000);
    expect(names(watch)).toEqual([]);
  }
  expect(watch.nextDue()).toBe(10_000);
  watch.observe([row("dead", 7), row("alive", 10)], 10_000);
  expect(names(watch)).toEqual(["dead"]);
});

test("a new incarnation is another worker, and one that is gone is forgotten", () => {
  const watch = new WorkerWatch(TIMING);
  for (let at = 0; at <= 6000; at += 1000) watch.observe([row("a", 1)], at);
  for (let at = 7000; at <= 12_000; at += 1000) watch.observe([row("a", 1, "j")], at);
  expect(names(watch)).toEqual([]);
  for (let at = 13_000; at <= 17_000; at += 1000) watch.observe([], at);
  watch.observe([row("a", 1, "j")], 18_000);
  expect(names(watch)).toEqual([]);
});

test("after a gap everybody has the whole time anew: nobody saw, or nobody could beat", () => {
  const watch = new WorkerWatch(TIMING);
  for (let at = 0; at <= 9000; at += 1000) watch.observe([row("a", 1)], at);
  for (let at = 14_001; at <= 24_000; at += 1000) watch.observe([row("a", 1)], at);
  expect(names(watch)).toEqual([]);
  watch.observe([row("a", 1)], 24_001);
  expect(names(watch)).toEqual(["a"]);
});

test("of a worker that is gone its last sign of life is known, for ten leases", () => {
  const watch = new WorkerWatch(TIMING);
  for (let at = 0; at <= 10_000; at += 1000) watch.observe([row("a", Math.min(at, 4000))], at);
  expect(watch.silentSince("a#i")).toBeUndefined();
  watch.observe([], 11_000);
  expect(watch.silentSince("a#i")).toBe(4000);
  for (let at = 15_000; at <= 104_000; at += 1000) watch.observe([], at);
  expect(watch.silentSince("a#i")).toBe(4000);
  watch.observe([], 104_001);
  expect(watch.silentSince("a#i")).toBeUndefined();
});

test("nobody stands still, nobody is due", () => {
  const watch = new WorkerWatch(TIMING);
  expect(watch.nextDue()).toBe(Infinity);
  watch.observe([row("a", 1)], 1000);
  expect(watch.nextDue()).toBe(Infinity);
});

/** Whatever the observer's rhythm: it comes later than a worker that counts from its own sending. */
test("no worker that beats within its own deadline is ever overdue", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 8900 }), { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 12_000 }), { minLength: 1, maxLength: 60 }),
      (beats, looks) => {
        const watch = new WorkerWatch(TIMING);
        const sent = beats.map((_, n) => beats.slice(0, n + 1).reduce((sum, ms) => sum + ms, 0));
        let at = 0;
        for (const gap of looks) {
          at += gap;
          if (at > sent.at(-1)!) break;
          watch.observe([row("a", sent.filter((ms) => ms <= at).length)], at);
          expect(names(watch)).toEqual([]);
        }
      },
    ),
    { numRuns: 500 },
  );
});
