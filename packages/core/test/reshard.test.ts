import { expect, test } from "vitest";
import type { ConsumerRecord, StartPosition } from "../src/index.ts";
import { late, RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const [S0, S1, S2] = [0, 1, 2, 3].map((i) => `shardId-00000000000${i}`) as [string, string, string];
const HOUR = 3_600_000;

const wait = (world: World, ms: number): Promise<void> =>
  new Promise((resolve) => void world.clock.setTimer(resolve, ms));

test.each<StartPosition>(["LATEST", "TRIM_HORIZON", { timestamp: new Date(Date.UTC(2026)) }])(
  "children are read from their first record, whatever `start` says: %o",
  async (start) => {
    const world = await World.of();
    const run = await world.start({ start });
    await world.split(S0);
    await world.put("a", "1");
    await world.put("b", "2");
    await world.clock.advance(2000);
    expect(run.texts.toSorted()).toEqual(["1", "2"]);
    expect(world.iteratorTypes().slice(1)).toEqual(["TRIM_HORIZON", "TRIM_HORIZON"]);
  },
);

test("a child begins when its parent's last record is done and its end is in the store", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", late(world.clock, 500));
  let parentDone = false;
  const endWasStored: boolean[] = [];
  await world.start({ store }, async ({ shardId }: ConsumerRecord) => {
    if (shardId !== S0) endWasStored.push(parentDone && store.stored(S0)?.kind === "shard-end");
    await wait(world, 1000);
    parentDone ||= shardId === S0;
  });
  await world.put("a", "1");
  await world.split(S0);
  await world.put("a", "2");
  await world.put("b", "3");
  await world.clock.advance(10_000);
  expect(endWasStored).toEqual([true, true]);
});

test("a merged shard waits for the slower of its parents", async () => {
  const world = await World.of({ shards: 2 });
  const run = await world.start({}, async ({ shardId }: ConsumerRecord) => {
    if (shardId === S1) await wait(world, 60_000);
  });
  await world.put("a", "a1");
  await world.put("b", "b1", "b2", "b3");
  await world.merge(S0, S1);
  await world.put("a", "a2");
  await world.put("b", "b4");
  await world.clock.advance(170_000);
  expect(run.texts).toEqual(expect.arrayContaining(["a1", "b1", "b2", "b3"]));
  expect(run.texts).toHaveLength(4);
  await world.clock.advance(20_000);
  expect(run.texts.slice(4)).toEqual(["a2", "b4"]);
});

test("a split and a merge of its children in succession keep every key's order", async () => {
  const world = await World.of();
  const run = await world.start();
  await world.put("a", "a1");
  await world.put("b", "b1");
  await world.split(S0);
  await world.put("a", "a2");
  await world.put("b", "b2");
  await world.merge(S1, S2);
  await world.put("a", "a3");
  await world.put("b", "b3");
  await world.clock.advance(5000);
  expect(run.texts.filter((text) => text.startsWith("a"))).toEqual(["a1", "a2", "a3"]);
  expect(run.texts.filter((text) => text.startsWith("b"))).toEqual(["b1", "b2", "b3"]);
});

test("children are found in the parent's last page, without another listing", async () => {
  const world = await World.of();
  const run = await world.start();
  const listings = world.kinesis.countOf("ListShards");
  await world.split(S0);
  await world.put("a", "1");
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
  // The test's own split lists once.
  expect(world.kinesis.countOf("ListShards")).toBe(listings + 1);
});

test("where the last page names no children, a listing finds them at once", async () => {
  const world = await World.of({ omitChildShards: true });
  const run = await world.start();
  await world.split(S0);
  await world.put("a", "1");
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("a merged shard waits for a parent that is younger than the last listing", async () => {
  const world = await World.of({ maxRecordsPerPage: 1 });
  const run = await world.start();
  await world.split(S0);
  await world.put("f", "f1", "f2");
  // 1 and 2 become 3 to 6 and, of 4 and 5, 7: the shard of "f" from now on.
  await world.scale(3);
  await world.put("f", "f3");
  await world.clock.advance(3000);
  expect(run.texts).toEqual(["f1", "f2", "f3"]);
});

test("shards that no page of ours announced are found by the next listing", async () => {
  const world = await World.of({ shards: 2 });
  const client = world.kinesis;
  const run = await world.start({
    client: {
      // A last page that tells of one child alone.
      send: async (command, options) => {
        const output = await client.send(command, options);
        if ("ChildShards" in output) output.ChildShards = output.ChildShards?.slice(0, 1);
        return output;
      },
    },
  });
  await world.split(S0);
  await world.put("a", "1");
  await world.put("c", "2");
  await world.clock.advance(31_000);
  expect(run.texts.toSorted()).toEqual(["1", "2"]);
});

test("discovery is one listing a period, and reads no checkpoint again", async () => {
  const world = await World.of({ shards: 3 });
  const store = new RecordingStore(world.clock);
  await world.start({ store, discoveryIntervalMs: 10_000 });
  const [listings, loads] = [world.kinesis.countOf("ListShards"), store.countOf("getCheckpoints")];
  await world.put("a", "1");
  await world.clock.advance(100_000);
  expect(world.kinesis.countOf("ListShards") - listings).toBe(10);
  expect(store.countOf("getCheckpoints")).toBe(loads);
});

test("a shard's end is not read again after a restart", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const first = await world.start({ store });
  await world.put("a", "1");
  await world.split(S0);
  await world.clock.advance(2000);
  await first.stop();
  world.kinesis.resetCalls();
  await world.put("a", "2");
  const second = await world.start({
    store: new RecordingStore(world.clock, { data: store.data }),
  });
  await world.clock.advance(2000);
  expect(second.texts).toEqual(["2"]);
  const read = world.kinesis.calls.map(({ input }) => input["ShardId"]).filter(Boolean);
  expect(read.toSorted()).toEqual([S1, S2]);
});

test("parents that aged out block no child", async () => {
  const world = await World.of({ shards: 2 });
  await world.merge(S0, S1);
  await world.split(S2);
  await world.clock.advance(25 * HOUR);
  await world.put("a", "1");
  const listed = await world.shardIds();
  expect(listed).not.toContain(S2);
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("a child whose parent ages out while it is waited for is read then", async () => {
  const world = await World.of({ shards: 2 });
  let release = (): void => {};
  const run = await world.start(
    { start: "TRIM_HORIZON", discoveryIntervalMs: HOUR },
    ({ shardId }: ConsumerRecord) =>
      shardId === S1 ? new Promise<void>((resolve) => (release = resolve)) : undefined,
  );
  await world.put("b", "in hand", "of the same page");
  await world.clock.advance(1000);
  await world.merge(S0, S1);
  await world.clock.advance(26 * HOUR);
  await world.put("b", "1");
  await world.clock.advance(2 * HOUR);
  // The parent is gone from the stream, but not from our hands: order holds until it is done.
  expect(run.texts).toEqual(["in hand"]);
  release();
  await world.clock.advance(1000);
  release();
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["in hand", "of the same page", "1"]);
});

test("an error of one shard while others are being opened ends the scan", async () => {
  const world = await World.of({ shards: 5 });
  world.kinesis.faults.fail({
    operation: "GetShardIterator",
    error: "InvalidArgumentException",
    where: (input) => input["ShardId"] === S2,
  });
  world.kinesis.faults.delay({
    operation: "GetShardIterator",
    ms: 20_000,
    where: (input) => input["ShardId"] === S1,
  });
  const run = await world.start();
  await world.clock.advance(1000);
  expect(run.error).toMatchObject({ code: "KINESIS_FAILED", shardId: S2 });
});

test.each(["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"] as const)(
  "a stop during %s is no error",
  async (operation) => {
    const world = await World.of({ shards: 2 });
    world.kinesis.faults.delay({ operation, ms: 20_000, times: Infinity });
    const run = await world.start({ store: new RecordingStore(world.clock) });
    await world.clock.advance(1000);
    run.abort();
    await world.clock.settle();
    expect(run.settled).toEqual({ error: undefined });
    expect(world.clock.pendingTimers).toBe(0);
  },
);
