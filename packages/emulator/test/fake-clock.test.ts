import { describe, expect, it } from "vitest";
import { FakeClock, UnsettledError } from "../src/index.ts";

describe("FakeClock", () => {
  it("starts where it is told and stands still", async () => {
    const clock = new FakeClock({ now: new Date("2030-05-01T00:00:00Z") });
    await clock.settle();
    expect(clock.now()).toBe(Date.parse("2030-05-01T00:00:00Z"));
    expect(clock.monotonic()).toBe(0);
  });

  it("runs the timers that are due, in order of due time, each at its own instant", async () => {
    const clock = new FakeClock();
    const ran: [string, number][] = [];
    for (const [name, ms] of [
      ["c", 300],
      ["a", 100],
      ["b", 200],
      ["b2", 200],
      ["late", 301],
    ] as const) {
      clock.setTimer(() => ran.push([name, clock.monotonic()]), ms);
    }
    await clock.advance(300);
    expect(ran).toEqual([
      ["a", 100],
      ["b", 200],
      ["b2", 200],
      ["c", 300],
    ]);
    expect(clock.pendingTimers).toBe(1);
  });

  it("runs the timers that woken code sets on the way", async () => {
    const clock = new FakeClock();
    const ticks: number[] = [];
    const tick = async (): Promise<void> => {
      await clock.yield();
      await Promise.resolve();
      ticks.push(clock.monotonic());
      clock.setTimer(() => void tick(), 1000);
    };
    clock.setTimer(() => void tick(), 1000);
    await clock.advance(3500);
    expect(ticks).toEqual([1000, 2000, 3000]);
  });

  it("lets promises, yields and immediates end between two timers", async () => {
    const clock = new FakeClock();
    const order: string[] = [];
    clock.setTimer(async () => {
      for (let i = 0; i < 20; i++) await clock.yield();
      for (let i = 0; i < 100; i++) await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      order.push("first is done");
    }, 10);
    clock.setTimer(() => order.push("second"), 10);
    await clock.advance(10);
    expect(order).toEqual(["first is done", "second"]);
  });

  it("does not run a cancelled timer", async () => {
    const clock = new FakeClock();
    let ran = false;
    const cancel = clock.setTimer(() => (ran = true), 10);
    cancel();
    await clock.advance(20);
    expect(ran).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });

  it("puts overlapping advances one after the other", async () => {
    const clock = new FakeClock();
    const at: number[] = [];
    clock.setTimer(() => at.push(clock.monotonic()), 150);
    await Promise.all([clock.advance(100), clock.advance(100)]);
    expect(at).toEqual([150]);
    expect(clock.monotonic()).toBe(200);
  });

  it("moves the wall clock alone", async () => {
    const clock = new FakeClock({ now: 1000 });
    clock.jumpWall(-400);
    expect([clock.now(), clock.monotonic()]).toEqual([600, 0]);
    await clock.advance(50);
    expect([clock.now(), clock.monotonic()]).toEqual([650, 50]);
  });

  it("rejects with what a callback throws, and goes on afterwards", async () => {
    const clock = new FakeClock();
    clock.setTimer(() => {
      throw new Error("broken callback");
    }, 1);
    await expect(clock.advance(5)).rejects.toThrow("broken callback");
    await clock.advance(5);
    expect(clock.monotonic()).toBe(6);
  });

  it("says so when something loops without waiting", async () => {
    const clock = new FakeClock();
    let looping = true;
    const loop = (async () => {
      while (looping) await clock.yield();
    })();
    await expect(clock.settle()).rejects.toThrow(UnsettledError);
    looping = false;
    await loop;
  });

  it.each([-1, Number.NaN, Infinity, -Infinity, 2 ** 31])("refuses a timer of %s ms", (ms) => {
    const clock = new FakeClock();
    expect(() => clock.setTimer(() => {}, ms)).toThrow(`not of ${ms} ms`);
    expect(clock.pendingTimers).toBe(0);
  });

  it("takes the longest timer that Node takes, and one that is due now", async () => {
    const clock = new FakeClock();
    const ran: number[] = [];
    for (const ms of [2 ** 31 - 1, 0]) clock.setTimer(() => ran.push(ms), ms);
    await clock.advance(2 ** 31 - 1);
    expect(ran).toEqual([0, 2 ** 31 - 1]);
  });

  it.each([-1, Number.NaN, Infinity])("refuses to advance by %s", async (ms) => {
    await expect(new FakeClock().advance(ms)).rejects.toThrow(RangeError);
  });
});
