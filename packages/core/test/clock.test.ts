import { FakeClock } from "@kc/emulator";
import { expect, it } from "vitest";
import { WakeTimer } from "../src/groups/wake-timer.ts";
import { MAX_TIMER_MS, setTimer, sleep, systemClock } from "../src/clock.ts";
import { SharedTimer } from "../src/shared-timer.ts";
import { World } from "./support/world.ts";

const nothing = (): void => {};

it("a wait below 0 is over at once, an infinite one sets no timer, one too long is cut", () => {
  const set: number[] = [];
  const clock = {
    ...systemClock,
    setTimer: (_callback: () => void, ms: number) => {
      set.push(ms);
      return nothing;
    },
  };
  for (const ms of [-5, -Infinity, 0, 1.5, MAX_TIMER_MS, MAX_TIMER_MS + 1, 1e15, Infinity]) {
    setTimer(clock, nothing, ms);
  }
  expect(set).toEqual([0, 0, 0, 1.5, MAX_TIMER_MS, MAX_TIMER_MS, MAX_TIMER_MS]);
});

it("an infinite sleep ends by its signal", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const asleep = sleep(clock, Infinity, controller.signal);
  await clock.settle();
  expect(clock.pendingTimers).toBe(0);
  controller.abort();
  await asleep;
});

it("a wake timer that nobody set waits without a timer", async () => {
  const clock = new FakeClock();
  const timer = new WakeTimer(clock);
  let woke = false;
  void timer.wait(Infinity).then(() => (woke = true));
  await clock.settle();
  expect(clock.pendingTimers).toBe(0);
  timer.wakeIn(50);
  await clock.advance(50);
  expect(woke).toBe(true);
});

it("a wait beyond the longest timer ends at its own moment all the same", async () => {
  const clock = new FakeClock();
  const wakeups = new SharedTimer(clock);
  let endedAt: number | undefined;
  const asleep = wakeups.sleep(MAX_TIMER_MS + 1000, new AbortController().signal);
  void asleep.then(() => (endedAt = clock.monotonic()));
  await clock.advance(MAX_TIMER_MS + 2000);
  expect(endedAt).toBe(MAX_TIMER_MS + 1000);
});

it("the longest interval and its jitter do not make polls follow one another", async () => {
  const world = await World.of();
  const run = await world.start({ scanIntervalMs: MAX_TIMER_MS, random: () => 0.99 });
  await world.clock.advance(3_600_000);
  expect(world.kinesis.countOf("GetRecords")).toBe(1);
  expect(run.settled).toBeUndefined();
});

it("no wait makes Node warn", async () => {
  const warnings: Error[] = [];
  const collect = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", collect);
  const controller = new AbortController();
  const waits = [-1, Infinity, 2 ** 31, 1e15].map((ms) =>
    sleep(systemClock, ms, controller.signal),
  );
  await systemClock.yield();
  controller.abort();
  await Promise.all(waits);
  await systemClock.yield();
  process.off("warning", collect);
  expect(warnings.filter(({ name }) => name.startsWith("Timeout"))).toEqual([]);
});
