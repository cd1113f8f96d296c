import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { Alarm } from "../src/groups/alarm.ts";

/** Starts a wait, and tells whether it is over. */
function waiting(alarm: Alarm, ms: number): { over: boolean } {
  const wait = { over: false };
  void alarm.wait(ms).then(() => (wait.over = true));
  return wait;
}

test("a wait ends with its time, or with the earliest ring", async () => {
  const clock = new FakeClock();
  const alarm = new Alarm(clock);
  const first = waiting(alarm, 1000);
  await clock.advance(999);
  expect(first.over).toBe(false);
  await clock.advance(1);
  expect(first.over).toBe(true);

  const second = waiting(alarm, 1000);
  alarm.ring(500);
  alarm.ring(700);
  await clock.advance(499);
  expect(second.over).toBe(false);
  await clock.advance(1);
  expect(second.over).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test("a ring before the wait ends it at once, and only that one", async () => {
  const clock = new FakeClock();
  const alarm = new Alarm(clock);
  alarm.ring(0);
  const first = waiting(alarm, 1000);
  await clock.settle();
  expect(first.over).toBe(true);
  const second = waiting(alarm, 1000);
  await clock.advance(900);
  expect(second.over).toBe(false);
  await clock.advance(100);
});

test("a wait for a ring alone sets no timer", async () => {
  const clock = new FakeClock();
  const alarm = new Alarm(clock);
  const wait = waiting(alarm, Infinity);
  await clock.settle();
  expect(clock.pendingTimers).toBe(0);
  alarm.ring(0);
  await clock.settle();
  expect(wait.over).toBe(true);
});
