import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { WakeTimer } from "../src/groups/wake-timer.ts";

/** Starts a wait, and tells whether it is over. */
function waiting(timer: WakeTimer, ms: number): { over: boolean } {
  const wait = { over: false };
  void timer.wait(ms).then(() => (wait.over = true));
  return wait;
}

test("a wait ends with its time, or with the earliest wake-up", async () => {
  const clock = new FakeClock();
  const timer = new WakeTimer(clock);
  const first = waiting(timer, 1000);
  await clock.advance(999);
  expect(first.over).toBe(false);
  await clock.advance(1);
  expect(first.over).toBe(true);

  const second = waiting(timer, 1000);
  timer.wakeIn(500);
  timer.wakeIn(700);
  await clock.advance(499);
  expect(second.over).toBe(false);
  await clock.advance(1);
  expect(second.over).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test("a wake-up before the wait ends it at once, and only that one", async () => {
  const clock = new FakeClock();
  const timer = new WakeTimer(clock);
  timer.wakeIn(0);
  const first = waiting(timer, 1000);
  await clock.settle();
  expect(first.over).toBe(true);
  const second = waiting(timer, 1000);
  await clock.advance(900);
  expect(second.over).toBe(false);
  await clock.advance(100);
});

test("a wait for a wake-up alone sets no timer", async () => {
  const clock = new FakeClock();
  const timer = new WakeTimer(clock);
  const wait = waiting(timer, Infinity);
  await clock.settle();
  expect(clock.pendingTimers).toBe(0);
  timer.wakeIn(0);
  await clock.settle();
  expect(wait.over).toBe(true);
});
