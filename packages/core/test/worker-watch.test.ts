import { expect, test } from "vitest";
import { WorkerWatch } from "../src/groups/leases/worker-watch.ts";

const TIMING = { leaseMs: 10_000 };

/** A look that took no time, by an observer that has always reached the store. */
const look = (at: number, steadySince = 0) => ({ requestedAt: at, receivedAt: at, steadySince });

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
    watch.observe([row("dead", 7), row("alive", second)], look(second * 1000));
    expect(names(watch)).toEqual([]);
  }
  expect(watch.nextDue()).toBe(10_000);
  watch.observe([row("dead", 7), row("alive", 10)], look(10_000));
  expect(names(watch)).toEqual(["dead"]);
});

test("a new incarnation is another worker, and one that is gone is forgotten", () => {
  const watch = new WorkerWatch(TIMING);
  for (let at = 0; at <= 6000; at += 1000) watch.observe([row("a", 1)], look(at));
  for (let at = 7000; at <= 12_000; at += 1000) watch.observe([row("a", 1, "j")], look(at));
  expect(names(watch)).toEqual([]);
  for (let at = 13_000; at <= 17_000; at += 1000) watch.observe([], look(at));
  watch.observe([row("a", 1, "j")], look(18_000));
  expect(names(watch)).toEqual([]);
});

test("an observer that did not reach the store itself counts nobody's silence of that time", () => {
  const watch = new WorkerWatch(TIMING);
  for (let at = 0; at <= 9000; at += 1000) watch.observe([row("a", 1)], look(at));
  for (let at = 10_000; at <= 14_000; at += 1000) {
    watch.observe([row("a", 1)], look(at, Infinity));
    expect(names(watch)).toEqual([]);
    expect(watch.nextDue()).toBe(Infinity);
  }
  for (let at = 15_000; at <= 24_000; at += 1000) watch.observe([row("a", 1)], look(at, 14_500));
  expect(names(watch)).toEqual([]);
  expect(watch.nextDue()).toBe(24_500);
  watch.observe([row("a", 1)], look(24_500, 14_500));
  expect(names(watch)).toEqual(["a"]);
});

test("looks that are far apart count, if the observer reached the store meanwhile", () => {
  const watch = new WorkerWatch(TIMING);
  watch.observe([row("a", 1)], look(0));
  watch.observe([row("a", 1)], look(9000));
  expect(names(watch)).toEqual([]);
  watch.observe([row("a", 1)], look(18_000));
  expect(names(watch)).toEqual(["a"]);
  expect(watch.nextDue(), "who is overdue is not waited for").toBe(Infinity);
});

test("a look counts from when its answer came, and judges by when it was asked for", () => {
  const watch = new WorkerWatch(TIMING);
  watch.observe([row("a", 1)], { requestedAt: 0, receivedAt: 2500, steadySince: 0 });
  watch.observe([row("a", 1)], { requestedAt: 12_400, receivedAt: 14_900, steadySince: 0 });
  expect(names(watch)).toEqual([]);
  expect(watch.nextDue()).toBe(12_500);
  watch.observe([row("a", 1)], { requestedAt: 12_500, receivedAt: 12_600, steadySince: 0 });
  expect(names(watch)).toEqual(["a"]);
});

test("of a worker that is gone its last sign of life is known, for ten leases", () => {
  const watch = new WorkerWatch(TIMING);
  for (let at = 0; at <= 10_000; at += 1000)
    watch.observe([row("a", Math.min(at, 4000))], look(at));
  expect(watch.silentSince("a#i")).toBeUndefined();
  watch.observe([], look(11_000));
  expect(watch.silentSince("a#i")).toBe(4000);
  for (let at = 15_000; at <= 104_000; at += 1000) watch.observe([], look(at));
  expect(watch.silentSince("a#i")).toBe(4000);
  watch.observe([], look(104_001));
  expect(watch.silentSince("a#i")).toBeUndefined();
});
