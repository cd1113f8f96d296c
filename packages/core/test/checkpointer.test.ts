import { expect, test } from "vitest";
import { checkpointAt, compareCheckpoints, SHARD_END, type Checkpoint } from "../src/index.ts";
import { late, RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const at = (sequenceNumber: string): Checkpoint => checkpointAt({ sequenceNumber });

/** Puts a record with each of `keys` every 100 ms for `seconds`. */
async function traffic(world: World, seconds: number, ...keys: string[]): Promise<void> {
  for (let i = 0; i < seconds * 10; i += 1) {
    for (const key of keys) await world.put(key, String(i));
    await world.clock.advance(100);
  }
}

/** Keys that fall on three different shards of three. */
const THREE_SHARDS = ["a", "b", "e"];

test("work goes to the store once a second, however many records there are", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store });
  await traffic(world, 10, "a");
  expect(run.records.length).toBeGreaterThan(90);
  expect(store.bulkWrites).toHaveLength(10);
  const gaps = store.bulkWrites.slice(1).map(({ at: when }, i) => when - store.bulkWrites[i]!.at);
  expect(new Set(gaps)).toEqual(new Set([1000]));
});

test("shards that are due together go into one bulk write", async () => {
  const world = await World.of({ shards: 3 });
  const store = new RecordingStore(world.clock);
  await world.start({ store });
  await traffic(world, 5, ...THREE_SHARDS);
  expect(store.bulkWrites).toHaveLength(5);
  for (const { writes } of store.bulkWrites) expect(writes).toHaveLength(3);
});

test("a store that spreads its load gets each shard at a moment of its own", async () => {
  const world = await World.of({ shards: 3 });
  const store = new RecordingStore(world.clock, { flush: "spread" });
  let n = 0;
  await world.start({ store, random: () => (n += 0.3) % 1 });
  await traffic(world, 5, ...THREE_SHARDS);
  for (const { writes } of store.bulkWrites) expect(writes).toHaveLength(1);
  for (const shardId of await world.shardIds()) {
    expect(store.writesOf(shardId).length).toBeGreaterThanOrEqual(4);
    expect(store.writesOf(shardId).length).toBeLessThanOrEqual(5);
  }
});

test("the store's own interval counts, unless the user sets one", async () => {
  const world = await World.of();
  const slow = new RecordingStore(world.clock, { flushIntervalMs: 10_000 });
  const hurried = new RecordingStore(world.clock, { flushIntervalMs: 10_000 });
  await world.start({ store: slow, application: "a" });
  await world.start({ store: hurried, application: "b", flushIntervalMs: 2000 });
  await traffic(world, 20, "a");
  expect(slow.bulkWrites).toHaveLength(2);
  expect(hurried.bulkWrites).toHaveLength(10);
});

test("with an interval of 0 each record is in the store before the next begins", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", late(world.clock, 50));
  const before: (Checkpoint | undefined)[] = [];
  await world.start({ store, flushIntervalMs: 0 }, () => before.push(store.stored(SHARD)));
  const numbers = await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  expect(before).toEqual([undefined, at(numbers[0]!), at(numbers[1]!)]);
  expect(store.writesOf(SHARD)).toEqual(numbers.map(at));
});

test("nothing is written for a shard that did nothing", async () => {
  const world = await World.of({ shards: 3 });
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(60_000);
  await run.stop();
  expect(store.bulkWrites).toHaveLength(1);
  expect(store.bulkWrites[0]!.writes).toHaveLength(1);
});

test("a stop writes what the interval has not, once", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store, flushIntervalMs: 60_000 });
  const numbers = await world.put("a", "1", "2");
  await world.clock.advance(1000);
  expect(store.bulkWrites).toHaveLength(0);
  await run.stop();
  expect(store.writesOf(SHARD)).toEqual([at(numbers[1]!)]);
});

test("an error writes what was done before it, once", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store, flushIntervalMs: 60_000 }, (record) => {
    if (record.text() === "poison") throw new Error("indigestible");
  });
  const numbers = await world.put("a", "1", "2", "poison", "4");
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "HANDLER_FAILED" });
  expect(store.writesOf(SHARD)).toEqual([at(numbers[1]!)]);
});

test("a shard's end is written once, at once", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  await world.start({ store, flushIntervalMs: 60_000 });
  await world.put("a", "1", "2");
  await world.split(SHARD);
  await world.clock.advance(1000);
  expect(store.writesOf(SHARD)).toMatchObject([SHARD_END]);
});

test("what is done during a write goes into the next one, an interval later", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", late(world.clock, 400));
  await world.start({ store });
  await traffic(world, 10, "a");
  expect(store.bulkWrites).toHaveLength(10);
  const written = store.writesOf(SHARD);
  expect(written.toSorted(compareCheckpoints)).toEqual(written);
  expect(new Set(written.map((checkpoint) => JSON.stringify(checkpoint))).size).toBe(10);
});

test("what was done during a write is not taken for written: it follows by itself", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", late(world.clock, 400));
  await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(1100);
  const [second] = await world.put("a", "2");
  await world.clock.advance(200);
  expect(store.bulkWrites).toHaveLength(1);
  await world.clock.advance(2000);
  expect(store.stored(SHARD)).toEqual(at(second!));
  expect(store.bulkWrites).toHaveLength(2);
});

test("one write is under way at a time; a stop waits for it and then writes the rest", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  let underWay = 0;
  let most = 0;
  store.let("setCheckpoints", async (answer) => {
    most = Math.max(most, (underWay += 1));
    const answered = await late(world.clock, 1500)(answer);
    underWay -= 1;
    return answered;
  });
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(2000);
  const numbers = await world.put("a", "2", "3");
  await world.clock.advance(500);
  await run.stop();

  expect(run.error).toBeUndefined();
  expect(run.texts).toEqual(["1", "2", "3"]);
  expect(most).toBe(1);
  expect(store.stored(SHARD)).toEqual(at(numbers[1]!));
  expect(store.bulkWrites).toHaveLength(2);
});

test("an answer that comes after its time-out changes nothing", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", late(world.clock, 40_000), 1);
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(1100);
  const [second] = await world.put("a", "2");
  await world.clock.advance(40_000);
  await run.stop();
  expect(store.stored(SHARD)).toEqual(at(second!));
  // The one that was late, its retry, and no third that would repeat it.
  expect(store.bulkWrites).toHaveLength(2);
});

test("nothing is left behind after a stop: no timer, no write", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store });
  await traffic(world, 3, "a", "b");
  await run.stop();
  expect(world.clock.pendingTimers).toBe(0);
});
