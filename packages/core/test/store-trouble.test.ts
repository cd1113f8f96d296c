import { expect, test } from "vitest";
import { checkpointAt, DrainTimeoutError, SHARD_END, StoreError } from "../src/index.ts";
import {
  answering,
  failing,
  hanging,
  lostReply,
  RecordingStore,
} from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const MINUTE = 60_000;

const outage = new StoreError("STORE_UNAVAILABLE", "the database fails over", { retryable: true });
const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
const throttled = Object.assign(new Error("slow down"), {
  name: "ProvisionedThroughputExceededException",
});

test.each([
  ["a store that says so", outage],
  ["the network under a stranger's store", refused],
  ["a throttle of a stranger's store", throttled],
])("a passing failure is retried for as long as it takes: %s", async (_, error) => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const mend = store.let("setCheckpoints", failing(error));
  const run = await world.start({ store, scanIntervalMs: 10_000 });
  const [first] = await world.put("a", "1");
  await world.clock.advance(60 * MINUTE);
  expect(run.settled).toBeUndefined();
  const tries = store.countOf("setCheckpoints");
  expect(tries).toBeGreaterThan(60);
  expect(world.counter.total("retries")).toBe(tries);

  mend();
  await world.clock.advance(30_000);
  expect(store.stored(SHARD)).toEqual(checkpointAt({ sequenceNumber: first! }));
});

test("work goes on while the store is away, pauses when too much waits, and resumes by itself", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store, maxUnflushedMs: 10_000, immediateRescan: true });
  const mend = store.let("setCheckpoints", failing(outage));
  for (let i = 0; i < 40; i += 1) {
    await world.put("a", ...Array.from({ length: 20 }, (_, n) => `${i}.${n}`));
    await world.clock.advance(1000);
  }
  // The last page before the pause may be begun; none of the 30 s after it is.
  expect(run.records.length).toBeGreaterThanOrEqual(9 * 20);
  expect(run.records.length).toBeLessThanOrEqual(12 * 20);
  expect(world.logger.find("warn", /delivery pauses/)).toHaveLength(1);
  expect(run.settled).toBeUndefined();

  mend();
  await world.clock.advance(30_000);
  expect(run.records).toHaveLength(800);
  expect(world.logger.find("info", /delivery resumes/)).toHaveLength(1);
});

test("a write that fails by itself holds up its own shard alone, and is tried again", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  const locked = new StoreError("STORE_UNAVAILABLE", "another transaction has locked the row", {
    retryable: true,
    shardId: SHARD,
  });
  store.failing.set(SHARD, locked);
  const run = await world.start({ store, maxUnflushedMs: 10_000, immediateRescan: true });
  const keys = ["a", "b", "c", "d", "e", "f"];
  for (let i = 0; i < 40; i += 1) {
    for (const key of keys) await world.put(key, `${i}`);
    await world.clock.advance(1000);
  }
  const handled = (shardId: string) => run.records.filter((each) => each.shardId === shardId);
  const other = run.records.find(({ shardId }) => shardId !== SHARD)!.shardId;
  const failed = (shardId: string) =>
    world.counter.total("checkpoints", { shardId, outcome: "failed" });
  expect(run.settled).toBeUndefined();
  expect(store.stored(SHARD)).toBeUndefined();
  const perSecond = handled(other).length / 40;
  expect(handled(SHARD).length, "pauses").toBeLessThan(14 * (keys.length - perSecond));
  expect([failed(SHARD) > 5, failed(other)]).toEqual([true, 0]);
  await world.clock.advance(6000);
  const last = handled(other).at(-1)!;
  expect(new Set(handled(other).map(({ data }) => data.toString())).size).toBe(40);
  expect(store.stored(other)).toEqual(checkpointAt({ sequenceNumber: last.sequenceNumber }));

  store.failing.clear();
  await world.clock.advance(30_000);
  expect(run.records).toHaveLength(40 * keys.length);
  const stands = handled(SHARD).at(-1)!.sequenceNumber;
  expect(store.stored(SHARD)).toEqual(checkpointAt({ sequenceNumber: stands }));
});

test("a shard whose write is never answered does not keep the others from being written", async () => {
  const world = await World.of({ shards: 4 });
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", hanging, Infinity, (writes) =>
    writes.some(({ shardId }) => shardId === SHARD),
  );
  const run = await world.start({ store });
  for (const key of ["a", "b", "c", "d", "e", "f", "g", "h"]) await world.put(key, "1");
  await world.clock.advance(5 * MINUTE);
  const shards = new Set(run.records.map(({ shardId }) => shardId));
  expect(shards.size).toBe(4);
  for (const shardId of shards) {
    expect(store.stored(shardId) === undefined, shardId).toBe(shardId === SHARD);
  }
});

test("a write that fails for good rejects the scan, though another one fails in passing", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  const error = new StoreError("STORE_CORRUPT", "a row that cannot be");
  store.failing.set(SHARD, outage);
  store.failing.set("shardId-000000000001", error);
  const run = await world.start({ store });
  for (const key of ["a", "b", "c", "d", "e", "f"]) await world.put(key, "1");
  await world.clock.advance(5000);
  expect(run.error).toBe(error);
});

test("a stop waits for the shard alone whose write fails by itself", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  store.failing.set(SHARD, outage);
  const run = await world.start({ store, drainTimeoutMs: 20_000 });
  for (let i = 0; i < 60; i += 1) {
    for (const key of ["a", "b", "c", "d", "e", "f"]) await world.put(key, `${i}`);
    await world.clock.advance(500);
  }
  const before = store.bulkWrites.length;
  const stopping = run.stop();
  await world.clock.advance(4000);
  const last = run.records.findLast(({ shardId }) => shardId !== SHARD)!;
  const position = checkpointAt({ sequenceNumber: last.sequenceNumber });
  expect(store.stored(last.shardId)).toEqual(position);
  expect(run.settled).toBeUndefined();
  const [, ...retries] = store.bulkWrites.slice(before);
  expect(retries.length).toBeGreaterThan(0);
  const retried = retries.flatMap(({ writes }) => writes.map(({ shardId }) => shardId));
  expect(new Set(retried)).toEqual(new Set([SHARD]));
  store.failing.clear();
  await world.clock.advance(5000);
  await stopping;
  expect(store.stored(SHARD)).toBeDefined();
});

test("a write that fails by itself for good rejects the scan", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const error = new StoreError("STORE_CORRUPT", "a row that cannot be", { shardId: SHARD });
  store.failing.set(SHARD, error);
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(5000);
  expect(run.error).toBe(error);
});

test.each([
  ["authentication", new StoreError("STORE_ACCESS_DENIED", "password authentication failed")],
  ["a missing table", new StoreError("STORE_SCHEMA", "no such table")],
  ["what a stranger's store throws", new TypeError("undefined is not a function")],
])("a lasting failure rejects the scan: %s", async (_, error) => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", failing(error));
  const run = await world.start({ store }, async () => {
    // Draining takes a while: meanwhile the store is left alone.
    await new Promise<void>((resolve) => void world.clock.setTimer(resolve, 1500));
  });
  await world.put("a", "1", "2", "3");
  await world.clock.advance(10_000);

  expect(run.error).toMatchObject({
    code: error instanceof StoreError ? error.code : "STORE_FAILED",
  });
  expect(store.countOf("setCheckpoints")).toBe(1);
  expect(world.counter.total("errors")).toBe(1);
});

test.each([
  ["no list", undefined],
  ["fewer answers than writes", []],
  ["an answer that is none", [undefined]],
])("a store that answers nonsense rejects the scan: %s", async (_, answer) => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", answering(answer));
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(5000);
  expect(run.error).toMatchObject({ code: "STORE_FAILED" });
});

test.each(["getCheckpoints", "openApplication"] as const)(
  "an outage at start-up is waited for, never taken for 'no checkpoint': %s",
  async (operation) => {
    const world = await World.of();
    const before = new RecordingStore(world.clock);
    const first = await world.start({ store: before, start: "TRIM_HORIZON" });
    await world.put("a", "1", "2");
    await world.clock.advance(1000);
    await first.stop();

    const store = new RecordingStore(world.clock, { data: before.data });
    const mend = store.let(operation, failing(outage));
    const second = await world.start({ store, start: "TRIM_HORIZON" });
    await world.put("a", "3");
    await world.clock.advance(10 * MINUTE);
    expect(second.settled).toBeUndefined();
    expect(second.texts).toEqual([]);
    expect(world.kinesis.countOf("GetRecords")).toBeLessThan(20);
    mend();
    await world.clock.advance(MINUTE);
    expect(second.texts).toEqual(["3"]);
  },
);

test("an outage when new shards appear is waited for, and read past nothing", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store });
  const mend = store.let("getCheckpoints", failing(outage));
  await world.put("a", "1");
  await world.split(SHARD);
  await world.put("a", "2");
  await world.clock.advance(MINUTE);
  expect(run.texts).toEqual(["1"]);
  mend();
  await world.clock.advance(MINUTE);
  expect(run.texts).toEqual(["1", "2"]);
});

test.each([0, 1])("a stop during start-up's outage resolves: call %i", async (answered) => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("getCheckpoints", (answer) => answer(), answered);
  store.let("getCheckpoints", hanging);
  const run = await world.start({ store });
  await world.clock.advance(5000);
  expect(store.countOf("getCheckpoints")).toBe(answered + 1);
  run.abort();
  await world.clock.settle();
  expect(run.settled).toEqual({ error: undefined });
  expect(world.clock.pendingTimers).toBe(0);
});

test("a write whose reply was lost is a success when it is repeated", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", lostReply(outage), 1);
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(5000);
  expect(run.settled).toBeUndefined();
  expect(store.bulkWrites).toHaveLength(2);
  expect(world.counter.total("checkpoints", { shardId: SHARD, outcome: "same" })).toBe(1);
});

test("a store that is further on is counted, warned of once, and no reason to stop", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const ahead = await world.start({ store });
  const behind = await world.start({ store }, async () => {
    await new Promise<void>((resolve) => void world.clock.setTimer(resolve, 2000));
  });
  for (let i = 0; i < 10; i += 1) {
    await world.put("a", String(i));
    await world.clock.advance(1000);
  }
  await ahead.stop();
  await behind.stop();

  expect([ahead.error, behind.error]).toEqual([undefined, undefined]);
  const counted = world.counter.total("checkpoints", { shardId: SHARD, outcome: "behind" });
  expect(counted).toBeGreaterThan(1);
  expect(world.logger.find("warn", /further on/)).toHaveLength(1);
});

test.each([
  ["a periodic write", 1000],
  ["the stop's own write", 60_000],
])(
  "a write that is refused for somebody's lease under AllGroup stops the scan loudly: %s",
  async (_, flushIntervalMs) => {
    const world = await World.of();
    const store = new RecordingStore(world.clock);
    store.let("setCheckpoints", answering([{ outcome: "lease-lost" }]));
    const run = await world.start({ store, flushIntervalMs });
    await world.put("a", "1");
    await world.clock.advance(5000);
    const handled = run.records.length;
    await world.put("a", "2");
    await run.stop();
    expect(run.error).toMatchObject({ code: "LEASE_LOST", shardId: SHARD });
    expect(run.records).toHaveLength(handled);
  },
);

test("a stop in the middle of an outage ends at its deadline, names shard and position, and loses nothing", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  const run = await world.start({ store, drainTimeoutMs: 5000 });
  const [first] = await world.put("a", "1");
  await world.clock.advance(2000);
  store.let("setCheckpoints", failing(outage));
  await world.put("a", "2");
  await world.clock.advance(2000);
  const stopped = world.clock.now();
  await run.stop();

  const error = run.error as DrainTimeoutError;
  expect(error).toBeInstanceOf(DrainTimeoutError);
  expect(error.shards).toEqual([
    {
      shardId: SHARD,
      acknowledged: checkpointAt({ sequenceNumber: first! }),
      waitingFor: "flush",
    },
  ]);
  expect(error.message).toContain(SHARD);
  expect(error.message).toContain(first);
  expect(world.clock.now() - stopped).toBeLessThan(7000);
  expect(world.clock.pendingTimers).toBe(0);

  const second = await world.start({
    store: new RecordingStore(world.clock, { data: store.data }),
  });
  await world.clock.advance(2000);
  expect(second.texts).toEqual(["2"]);
});

test("a stop finds the store again, however long the outage before it was", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const mend = store.let("setCheckpoints", failing(outage));
  const run = await world.start({ store, drainTimeoutMs: 20_000, random: () => 0.99 });
  const [first] = await world.put("a", "1");
  await world.clock.advance(5 * MINUTE);
  const tries = store.countOf("setCheckpoints");
  while (store.countOf("setCheckpoints") === tries) await world.clock.advance(100);
  mend();
  run.abort();
  await world.clock.advance(19_900);
  expect(run.settled).toEqual({ error: undefined });
  expect(store.stored(SHARD)).toEqual(checkpointAt({ sequenceNumber: first! }));
});

test("an outage at a shard's end holds its children and the hook back, and then lets them go", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const closed: string[] = [];
  const run = await world.start({ store, onShardClosed: (shardId) => closed.push(shardId) });
  const mend = store.let("setCheckpoints", failing(outage));
  await world.put("a", "1");
  await world.split(SHARD);
  await world.put("a", "2");
  await world.clock.advance(MINUTE);
  expect(run.texts).toEqual(["1"]);
  expect(closed).toEqual([]);
  mend();
  await world.clock.advance(MINUTE);
  expect(run.texts).toEqual(["1", "2"]);
  expect(closed).toEqual([SHARD]);
  expect(store.stored(SHARD)).toMatchObject(SHARD_END);
});
