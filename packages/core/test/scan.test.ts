import { expect, test } from "vitest";
import { MemoryStore, SkipCheckpoint } from "../src/index.ts";
import { World } from "./support/world.ts";

test("every record of every shard is handled once, in its shard's order", async () => {
  const world = await World.of({ shards: 3 });
  const run = await world.start({ start: "TRIM_HORIZON" });
  for (let i = 0; i < 30; i += 1) await world.put(`key-${i % 7}`, `${i % 7}:${i}`);
  await world.clock.advance(2000);
  await run.stop();

  expect(run.error).toBeUndefined();
  expect(run.records).toHaveLength(30);
  for (let key = 0; key < 7; key += 1) {
    const own = run.texts.filter((text) => text.startsWith(`${key}:`));
    expect(own).toEqual(own.toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2))));
  }
  expect(new Set(run.records.map((record) => record.shardId)).size).toBe(3);
  expect(world.counter.total("records")).toBe(30);
  expect(world.clock.pendingTimers).toBe(0);
});

test("a second start goes on after the first one's checkpoint", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const first = await world.start({ store, start: "TRIM_HORIZON" });
  await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  await first.stop();
  await world.put("a", "4");
  const second = await world.start({ store, start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  await second.stop();

  expect(first.texts).toEqual(["1", "2", "3"]);
  expect(second.texts).toEqual(["4"]);
});

test("a skipped tail is repeated after a stop, a skipped record before a success is not", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "1", "skip 2", "3", "skip 4", "skip 5");
  const skipping = (record: { text(): string }): unknown =>
    record.text().startsWith("skip") ? SkipCheckpoint : undefined;
  const first = await world.start({ store, start: "TRIM_HORIZON" }, skipping);
  await world.clock.advance(1000);
  await first.stop();
  const second = await world.start({ store }, skipping);
  await world.clock.advance(1000);
  await second.stop();

  expect(first.texts).toHaveLength(5);
  expect(second.texts).toEqual(["skip 4", "skip 5"]);
});

test("a split and a merge keep the order of every key", async () => {
  const world = await World.of({ shards: 2 });
  const store = new MemoryStore();
  const run = await world.start({ store });
  const keys = Array.from({ length: 10 }, (_, i) => `key-${i}`);
  let n = 0;
  const putAll = async (): Promise<void> => {
    for (const key of keys) await world.put(key, `${key}:${(n += 1)}`);
  };
  await putAll();
  await world.split("shardId-000000000000");
  await putAll();
  await world.merge("shardId-000000000002", "shardId-000000000003");
  await putAll();
  await world.clock.advance(3000);
  await run.stop();

  expect(run.error).toBeUndefined();
  expect(run.records).toHaveLength(30);
  for (const key of keys) {
    const own = run.texts.filter((text) => text.startsWith(`${key}:`));
    expect(own).toEqual(own.toSorted((a, b) => Number(a.split(":")[1]) - Number(b.split(":")[1])));
  }
});
