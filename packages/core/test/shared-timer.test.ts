import { setMaxListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FakeClock } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SharedTimer } from "../src/shared-timer.ts";
import { until } from "./support/until.ts";

const forEver = new AbortController().signal;
setMaxListeners(0, forEver);

test("a thousand waits set one timer, and each ends at its own moment", async () => {
  const clock = new FakeClock();
  const timer = new SharedTimer(clock);
  const woken: number[] = [];
  for (let ms = 1000; ms >= 1; ms -= 1) {
    void timer.sleep(ms, forEver).then(() => woken.push(clock.monotonic()));
  }
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(1000);
  expect(woken).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
  expect(clock.pendingTimers).toBe(0);
});

test("a wait that was aborted leaves no timer, and the next one moves up", async () => {
  const clock = new FakeClock();
  const timer = new SharedTimer(clock);
  const stop = new AbortController();
  const aborted = timer.sleep(10, stop.signal);
  let woken = 0;
  void timer.sleep(1000, forEver).then(() => (woken = clock.monotonic()));
  stop.abort();
  await aborted;
  await clock.advance(1000);
  expect(woken).toBe(1000);

  const last = new AbortController();
  const sleeping = timer.sleep(10, last.signal);
  expect(clock.pendingTimers).toBe(1);
  last.abort();
  await sleeping;
  expect(clock.pendingTimers).toBe(0);
});

test("whatever sleeps and aborts come, each wait ends when it is due or aborted, and no timer stays", async () => {
  const sleeper = fc.record({
    begins: fc.integer({ min: 0, max: 100 }),
    ms: fc.integer({ min: -1, max: 200 }),
    aborts: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(sleeper, { maxLength: 20 }), async (sleepers) => {
      const clock = new FakeClock();
      const timer = new SharedTimer(clock);
      const ends: number[] = [];
      for (const [index, { begins, ms, aborts }] of sleepers.entries()) {
        const stop = new AbortController();
        if (aborts !== undefined) clock.setTimer(() => stop.abort(), aborts);
        clock.setTimer(() => {
          void timer.sleep(ms, stop.signal).then(() => (ends[index] = clock.monotonic()));
        }, begins);
      }
      await clock.advance(1000);
      const due = sleepers.map(({ begins, ms, aborts = Infinity }) =>
        Math.min(begins + Math.max(0, ms), Math.max(begins, aborts)),
      );
      expect(ends).toEqual(due);
      expect(clock.pendingTimers).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("waits that were cancelled are forgotten, though they were due in hours; the others are kept", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const clock = new FakeClock();
  const timer = new SharedTimer(clock);
  const woken: number[] = [];
  const cancelled: WeakRef<() => void>[] = [];
  for (let i = 0; i < 1000; i += 1) {
    if (i % 100 === 0) timer.after(i + 1, () => woken.push(i));
    const wake = (): void => void woken.push(-i);
    timer.after(3_600_000 + i, wake)();
    cancelled.push(new WeakRef(wake));
  }
  // What a WeakRef was made of lives until the turn of the event loop is over, and what is made while a
  // collection is under way until the next one.
  await until(() => {
    collect();
    return cancelled.filter((ref) => ref.deref() !== undefined).length < 150;
  });
  await clock.advance(4_000_000);
  expect(woken).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
  expect(clock.pendingTimers).toBe(0);
});
