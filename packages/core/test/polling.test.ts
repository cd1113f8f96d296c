import { expect, test } from "vitest";
import { gapsOf, gate, keyOf, pollsOf, taking } from "./support/calls.ts";
import { World } from "./support/world.ts";

test("a slow handler of one shard does not hold another", async () => {
  const world = await World.of({ shards: 2 });
  const stuck = gate();
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) =>
    record.text() === "slow" ? stuck.opened : undefined,
  );
  const [slow, quick] = [keyOf(0, 2), keyOf(1, 2)];
  await world.put(slow, "slow", "after slow");
  await world.put(quick, "1", "2", "3");
  await world.clock.advance(1000);

  expect(run.texts.toSorted()).toEqual(["1", "2", "3", "slow"]);
  stuck.open();
  await world.clock.advance(1000);
  expect(run.texts).toContain("after slow");
});

test("the first poll of every shard is made at once", async () => {
  const world = await World.of({ shards: 3 });
  const began = world.clock.now();
  await world.start({ scanIntervalMs: 60_000 });

  const polls = world.kinesis.calls.filter(({ operation }) => operation === "GetRecords");
  expect(polls.map(({ at }) => at)).toEqual([began, began, began]);
});

test("the interval counts from the start of the last poll, the handler's time included", async () => {
  const world = await World.of();
  const run = await world.start(
    { scanIntervalMs: 1000, start: "TRIM_HORIZON" },
    taking(world, 300),
  );
  await world.put("a", "1", "2");
  await world.clock.advance(3500);
  await run.stop();

  expect(pollsOf(world)).toEqual([0, 1000, 2000, 3000]);
});

test("a handler slower than the interval is read ahead for two pages, and is followed by one poll, not by a burst", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" }, taking(world, 2000));
  await world.clock.advance(3000);
  await run.stop();

  expect(pollsOf(world)).toEqual([0, 250, 500, 2000, 2250, 2500, 2750, 3000]);
});

test("throttles are not followed by a burst: room is made for others, and taken back", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({
    operation: "GetRecords",
    times: 4,
    error: "ProvisionedThroughputExceededException",
  });
  const run = await world.start();
  await world.clock.advance(60_000);
  await run.stop();

  const afterRetries = gapsOf(pollsOf(world)).slice(4);
  // An interval, or up to half of 50 ms less: idle shards are polled together.
  expect(Math.min(...afterRetries)).toBeGreaterThan(224);
  expect(afterRetries.slice(0, 10).filter((gap) => gap > 350).length).toBeGreaterThan(2);
  expect(new Set(afterRetries.slice(-20))).toEqual(new Set([250]));
});

test("immediate rescan: a page with records that is still behind is followed at once", async () => {
  const world = await World.of({ maxRecordsPerPage: 2 });
  await world.put("a", "1", "2", "3", "4", "5");
  const run = await world.start({
    start: "TRIM_HORIZON",
    immediateRescan: true,
    scanIntervalMs: 5000,
  });
  await world.clock.advance(1000);
  await run.stop();

  expect(run.texts).toEqual(["1", "2", "3", "4", "5"]);
  expect(pollsOf(world)).toEqual([0, 0, 0]);
});

test("immediate rescan: an empty page that is behind is followed within the quota", async () => {
  const world = await World.of({ emptyPagesWhileBehind: 3 });
  await world.put("a", "1");
  const run = await world.start({
    start: "TRIM_HORIZON",
    immediateRescan: true,
    scanIntervalMs: 5000,
  });
  await world.clock.advance(4000);
  await run.stop();

  expect(pollsOf(world)).toEqual([0, 200, 400, 600]);
  expect(run.texts).toEqual(["1"]);
});

test("immediate rescan: a shard that has caught up waits for the interval", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON", immediateRescan: true });
  await world.clock.advance(1000);
  await run.stop();

  expect(pollsOf(world)).toEqual([0, 250, 500, 750, 1000]);
});
