import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { checkpointAt, LeaseGroup, MemoryStore, StoreError } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { GroupWorld } from "./support/group-world.ts";
import { failing, hanging, late, RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const [SHARD, OTHER] = ["shardId-000000000000", "shardId-000000000001"];
const MINUTE = 60_000;
const at = (sequenceNumber: string | undefined) =>
  checkpointAt({ sequenceNumber: sequenceNumber! });

test("a write that hangs is sent again within seconds, with what was done meanwhile", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", hanging, 1);
  await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(2000);
  const [second] = await world.put("a", "2");
  await world.clock.advance(2000);
  expect(store.stored(SHARD)).toEqual(at(second));
  expect(store.bulkWrites).toHaveLength(2);
});

test("a write of one shard that hangs does not hold another shard's up for long", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", hanging, 1);
  await world.start({ store });
  await world.put(keyOf(0, 2), "1");
  await world.clock.advance(1100);
  const [number] = await world.put(keyOf(1, 2), "2");
  await world.clock.advance(3000);
  expect(store.stored(OTHER)).toEqual(at(number));
});

test("a stop is in time although the store has answered nothing for long before it", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const mend = store.let("setCheckpoints", hanging);
  const run = await world.start({ store });
  const [number] = await world.put("a", "1");
  // By now a call is given 30 s; the store is back during one that will never be answered.
  await world.clock.advance(5 * MINUTE);
  const calls = store.countOf("setCheckpoints");
  while (store.countOf("setCheckpoints") === calls) await world.clock.advance(100);
  mend();
  run.abort();
  await world.clock.advance(3000);
  expect(run.settled).toEqual({ error: undefined });
  expect(store.stored(SHARD)).toEqual(at(number));
});

test("a stop does not sit out a retry's wait: the store is asked again at once", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const outage = new StoreError("STORE_UNAVAILABLE", "", { retryable: true });
  const mend = store.let("setCheckpoints", failing(outage));
  const run = await world.start({ store, random: () => 0.99 });
  const [number] = await world.put("a", "1");
  await world.clock.advance(MINUTE);
  const calls = store.countOf("setCheckpoints");
  while (store.countOf("setCheckpoints") === calls) await world.clock.advance(100);
  mend();
  run.abort();
  await world.clock.advance(200);
  expect(run.settled).toEqual({ error: undefined });
  expect(store.stored(SHARD)).toEqual(at(number));
});

test.each([1000, 0])(
  "a store that is slow is waited for, and remembered to be slow: flushIntervalMs %i",
  async (flushIntervalMs) => {
    const world = await World.of({ shards: 4 });
    const store = new RecordingStore(world.clock);
    store.let("setCheckpoints", late(world.clock, 7000));
    const run = await world.start({ store, flushIntervalMs });
    for (let i = 0; i < 4; i += 1) {
      await world.put(keyOf(i, 4), "1");
      await world.clock.advance(1500);
    }
    await world.clock.advance(MINUTE);
    const given = world.counter.total("retries");
    expect(given).toBeLessThanOrEqual(2);
    for (let i = 0; i < 4; i += 1) {
      const [number] = await world.put(keyOf(i, 4), "2");
      await world.clock.advance(20_000);
      expect(store.stored(`shardId-00000000000${i}`)).toEqual(at(number));
    }
    expect(world.counter.total("retries")).toBe(given);
    await run.stop();
    expect(run.error).toBeUndefined();
  },
);

test("under a lease no write is waited for longer than a quarter of it", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { clock } = group.world;
  const member = await group.join("a", { leaseMs: 4000 });
  await clock.advance(5000);
  member.link.only = ["setCheckpoints"];
  member.link.state = "hangs";
  await group.put(0, 1);
  await clock.advance(1000);
  member.link.calls.length = 0;
  await clock.advance(30_000);
  // Each is given 1 s, and followed by a wait of 5 s at most.
  const writes = member.link.calls.filter((name) => name === "setCheckpoints");
  expect(writes.length).toBeGreaterThanOrEqual(6);
});

test("a store that cannot take all shards in a quarter of the lease gets fewer at once", async () => {
  const world = await World.of({ shards: 16 });
  const { clock } = world;
  const store = new MemoryStore();
  const setCheckpoints = store.setCheckpoints.bind(store);
  const sizes: number[] = [];
  store.setCheckpoints = async (scope, writes, call) => {
    sizes.push(writes.length);
    await sleep(clock, 300 * writes.length);
    return setCheckpoints(scope, writes, call);
  };
  const run = await world.start({ store, group: new LeaseGroup(), start: "TRIM_HORIZON" });
  await clock.advance(4000);
  for (let shard = 0; shard < 16; shard += 1) await world.put(keyOf(shard, 16), `${shard}`);
  await clock.advance(20_000);
  const { shards } = run.consumer.status();
  expect(shards.filter(({ acknowledged }) => acknowledged === undefined)).toEqual([]);
  expect(sizes).toEqual([16, 16, 8, 8]);
});
