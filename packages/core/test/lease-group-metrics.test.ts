import { expect, test } from "vitest";
import { GroupWorld } from "./support/group-world.ts";
import { MemoryCounter } from "./support/memory-counter.ts";

test("the counter hears of every lease that comes and goes, and why", async () => {
  const group = await GroupWorld.of({ shards: 4 });
  const { clock } = group.world;
  const counters = { a: new MemoryCounter(), b: new MemoryCounter() };
  const a = await group.join("a", { consumer: { counter: counters.a } });
  await clock.advance(3000);
  expect(counters.a.total("leases_acquired", { reason: "new" })).toBe(4);
  expect(counters.a.gauge("leases_held")).toEqual({ "": 4 });
  const b = await group.join("b", { consumer: { counter: counters.b } });
  await clock.advance(1500);
  expect(counters.a.total("leases_released", { reason: "released" })).toBe(2);
  expect(counters.b.total("leases_acquired", { reason: "released" })).toBe(2);
  expect(counters.b.gauge("workers")).toEqual({ "": 2 });
  a.link.state = "hangs";
  await clock.advance(13_000);
  expect(counters.b.total("evictions")).toBe(1);
  expect(counters.b.total("leases_acquired", { reason: "taken-over" })).toBe(2);
  a.link.state = "whole";
  await clock.advance(3000);
  expect(counters.a.total("leases_lost")).toBe(2);
  await b.run.stop();
  expect(counters.b.total("leases_released", { reason: "stopped" })).toBe(2);
  expect(counters.b.gauge("leases_held"), "the series is over").toEqual({});
});

test("a hand-over that ran out of time is counted", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const counter = new MemoryCounter();
  const never = (): Promise<void> => new Promise(() => {});
  await group.join("a", { consumer: { counter, drainTimeoutMs: 2000 } }, never);
  await clock.advance(2500);
  await group.put(0, 10);
  await clock.advance(1000);
  await group.join("b");
  await clock.advance(5000);
  expect(counter.total("handoffs_forced")).toBe(1);
  expect(counter.total("leases_released", { reason: "forced" })).toBe(1);
});

test("one worker alone tells of shards that nobody holds, and for how long", async () => {
  const group = await GroupWorld.of({ shards: 3 });
  const { clock } = group.world;
  const counters = { a: new MemoryCounter(), b: new MemoryCounter() };
  const a = await group.join("a", { maxShards: 1, consumer: { counter: counters.a } });
  await group.join("b", { maxShards: 1, consumer: { counter: counters.b } });
  await clock.advance(10_000);
  expect(counters.a.gauge("unassigned_shards")).toEqual({ "": 1 });
  expect(counters.a.gauge("unassigned_age")[""]).toBeGreaterThan(8000);
  expect(counters.b.gauge("unassigned_shards")).toEqual({});
  await a.run.stop();
  await clock.advance(3000);
  expect(counters.a.gauge("unassigned_shards")).toEqual({});
  expect(counters.b.gauge("unassigned_shards")).toEqual({ "": 2 });
  await group.join("c");
  await clock.advance(3000);
  expect(counters.b.gauge("unassigned_shards")).toEqual({ "": 0 });
  expect(counters.b.gauge("unassigned_age")).toEqual({ "": 0 });
});
