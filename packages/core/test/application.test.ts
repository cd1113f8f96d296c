import { CreateStreamCommand, DeleteStreamCommand } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import {
  checkpointAt,
  MemoryStore,
  MemoryStoreData,
  NamespaceConflictError,
  type ApplicationRow,
  type StartPosition,
} from "../src/index.ts";
import { failing, hanging, late, lostReply, RecordingStore } from "./support/recording-store.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };
const MINUTE = 60_000;

const rowOf = (data: MemoryStoreData): ApplicationRow => data.application(SCOPE).row!;

/** What Go leaves behind: checkpoints, and no row. */
function leftByGo(checkpoints: Readonly<Record<string, string>>): MemoryStoreData {
  const data = new MemoryStoreData();
  for (const [shardId, sequenceNumber] of Object.entries(checkpoints)) {
    data.shard(SCOPE, shardId).checkpoint = checkpointAt({ sequenceNumber });
  }
  return data;
}

/** A process that dies: nothing of what it did reaches the store but the application row. */
async function startAndCrash(
  world: World,
  data: MemoryStoreData,
  start: StartPosition = "LATEST",
): Promise<void> {
  const store = new RecordingStore(world.clock, { data });
  store.let("setCheckpoints", hanging);
  const run = await world.start({ store, start, drainTimeoutMs: 0 });
  await world.clock.advance(1000);
  await run.stop();
}

test("LATEST means from now on", async () => {
  const world = await World.of();
  await world.put("a", "before");
  const run = await world.start({ store: new MemoryStore(), start: "LATEST" });
  await world.put("a", "after");
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["after"]);
});

test("an application that started at LATEST and read nothing gets what came while it was away", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await world.put("a", "before");
  await world.clock.advance(MINUTE);
  const first = await world.start({ store: new MemoryStore({ data }), start: "LATEST" });
  await world.clock.advance(MINUTE);
  await first.stop();
  await world.put("a", "between");
  await world.clock.advance(10 * MINUTE);
  const second = await world.start({ store: new MemoryStore({ data }), start: "LATEST" });
  await world.clock.advance(1000);
  expect(first.texts).toEqual([]);
  expect(second.texts).toEqual(["between"]);
});

test("a start at LATEST that is slow in coming leaves no gap", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({ operation: "ListShards", error: "LimitExceededException", times: 5 });
  const run = await world.start({ store: new MemoryStore(), start: "LATEST" });
  await world.put("a", "1");
  await world.clock.advance(MINUTE);
  expect(run.texts).toEqual(["1"]);
});

test.each([false, true])(
  "a timestamp counts from the first start on, after a crash too: %s",
  async (crash) => {
    const world = await World.of();
    const data = new MemoryStoreData();
    await world.put("a", "too old");
    await world.clock.advance(MINUTE);
    const timestamp = new Date(world.clock.now());
    await world.put("a", "1");
    await world.clock.advance(MINUTE);
    if (crash) await startAndCrash(world, data, { timestamp });
    const run = await world.start({ store: new MemoryStore({ data }), start: { timestamp } });
    await world.clock.advance(1000);
    expect(run.texts).toEqual(["1"]);
  },
);

test("after a crash on the first start, closed parents and their children are read since that start", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await world.put("a", "before");
  await world.split(SHARD);
  await world.put("a", "before, in the child");
  await world.clock.advance(MINUTE);
  await startAndCrash(world, data);
  await world.put("a", "1");
  await world.split("shardId-000000000001");
  await world.put("a", "2");
  await world.clock.advance(MINUTE);
  const run = await world.start({ store: new MemoryStore({ data }) });
  await world.clock.advance(2000);
  expect(run.texts).toEqual(["1", "2"]);
});

test("of two first starters at once one makes the row, and both read everything since", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await world.put("a", "before");
  await world.clock.advance(MINUTE);
  const slow = new RecordingStore(world.clock, { data });
  slow.let("openApplication", late(world.clock, 3000));
  const one = await world.start({ store: new MemoryStore({ data }), flushIntervalMs: MINUTE });
  const row = rowOf(data);
  // Its own `start` comes too late: the row's holds.
  const other = await world.start({ store: slow, start: "TRIM_HORIZON", flushIntervalMs: MINUTE });
  await world.put("a", "1");
  await world.clock.advance(10_000);
  await world.put("a", "2");
  await world.clock.advance(1000);
  expect(rowOf(data)).toEqual(row);
  expect([one.texts, other.texts]).toEqual([
    ["1", "2"],
    ["1", "2"],
  ]);
  await one.stop();
  await other.stop();
  expect([one.error, other.error]).toEqual([undefined, undefined]);
});

test("a row whose reply was lost is found again, and nothing since is missed", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const error = Object.assign(new Error("reset"), { code: "ECONNRESET" });
  store.let("openApplication", lostReply(error), 1);
  const run = await world.start({ store, start: "LATEST" });
  await world.put("a", "1");
  await world.clock.advance(2000);
  expect(run.texts).toEqual(["1"]);
});

test("checkpoints of the Go library are gone on from; `start` counts once for shards without, with a warning", async () => {
  const world = await World.of({ shards: 2 });
  const [done] = await world.put("a", "done");
  await world.put("a", "undone");
  await world.put("b", "old, of a shard that Go never checkpointed");
  await world.clock.advance(MINUTE);
  const data = leftByGo({ [SHARD]: done! });
  const first = await world.start({ store: new MemoryStore({ data }), start: "LATEST" });
  await world.clock.advance(1000);
  await first.stop();
  expect(first.texts).toEqual(["undone"]);
  expect(world.logger.find("warn", /checkpoints without an application row/)).toHaveLength(1);
  expect(rowOf(data).migrated).toBe(true);

  await world.put("b", "new");
  const second = await world.start({ store: new MemoryStore({ data }), start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  expect(second.texts).toEqual(["new"]);
  expect(world.logger.find("warn", /checkpoints without an application row/)).toHaveLength(1);
});

test("an outage at start-up does not hide what the Go library left", async () => {
  const world = await World.of();
  const [done] = await world.put("a", "done");
  const store = new RecordingStore(world.clock, { data: leftByGo({ [SHARD]: done! }) });
  const error = Object.assign(new Error("reset"), { code: "ECONNRESET" });
  store.let("getCheckpoints", failing(error), 1);
  await world.start({ store });
  await world.clock.advance(1000);
  expect(rowOf(store.data).migrated).toBe(true);
});

test.each([false, true])(
  "children of shards that the Go library read are read from their first record, after a crash too: %s",
  async (crash) => {
    const world = await World.of();
    const [done] = await world.put("a", "done");
    await world.put("a", "1");
    await world.split(SHARD);
    await world.put("a", "2");
    await world.clock.advance(10 * MINUTE);
    const data = leftByGo({ [SHARD]: done! });
    if (crash) await startAndCrash(world, data);
    const run = await world.start({ store: new MemoryStore({ data }), start: "LATEST" });
    await world.clock.advance(2000);
    expect(run.texts).toEqual(["1", "2"]);
  },
);

test("without a store progress lasts as long as the consumer, and one warning says so", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const first = await world.run(consumer);
  await world.clock.advance(1000);
  await first.stop();
  await world.put("a", "between");
  const second = await world.run(consumer);
  await world.clock.advance(1000);
  await second.stop();
  expect(second.texts).toEqual(["between"]);
  expect(world.logger.find("warn", /no store/)).toHaveLength(1);

  const another = await world.start();
  await world.clock.advance(1000);
  expect(another.texts).toEqual([]);
});

test("a `start` that is changed later is not heeded, and a log line says so", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await world.put("a", "before");
  await world.clock.advance(MINUTE);
  const first = await world.start({ store: new MemoryStore({ data }), start: "LATEST" });
  await first.stop();
  const second = await world.start({ store: new MemoryStore({ data }), start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  expect(second.texts).toEqual([]);
  expect(rowOf(data).start).toBe("LATEST");
  expect(world.logger.find("info", /kept as it was/)).toMatchObject([
    { fields: { configured: "TRIM_HORIZON", kept: "LATEST" } },
  ]);
});

test.each([{ region: "eu-west-1" }, { account: "123456789012" }])(
  "the same names elsewhere do not share progress: %o",
  async (elsewhere) => {
    const data = new MemoryStoreData();
    const here = await World.of();
    await (await here.start({ store: new MemoryStore({ data }) })).stop();
    const there = await World.of(elsewhere);
    const run = await there.start({ store: new MemoryStore({ data }) });
    expect(run.error).toBeInstanceOf(NamespaceConflictError);
    expect(String(run.error)).toContain("us-east-1:000000000000:stream/orders");
    expect(there.kinesis.countOf("GetRecords")).toBe(0);
  },
);

test("a place that another application holds is refused", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await (await world.start({ store: new MemoryStore({ data }) })).stop();
  data.application(SCOPE).row = { ...rowOf(data), application: "billing-eu", streamName: "x" };
  const run = await world.start({ store: new MemoryStore({ data }) });
  expect(run.error).toMatchObject({ code: "NAMESPACE_CONFLICT" });
});

test("a stream that was deleted and recreated is refused, with what to do", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await (await world.start({ store: new MemoryStore({ data }) })).stop();
  await world.kinesis.send(new DeleteStreamCommand({ StreamName: STREAM }));
  await world.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
  const run = await world.start({ store: new MemoryStore({ data }) });
  expect(run.error).toMatchObject({ code: "STREAM_RECREATED" });
  expect(String(run.error)).toMatch(/Use another application name, or delete/);
});

test.each([-999, 500])(
  "a store may keep the creation time to the second: %i ms off",
  async (ms) => {
    const world = await World.of();
    const data = new MemoryStoreData();
    await (await world.start({ store: new MemoryStore({ data }) })).stop();
    const row = rowOf(data);
    const streamCreationTimestamp = new Date(row.streamCreationTimestamp!.getTime() + ms);
    data.application(SCOPE).row = { ...row, streamCreationTimestamp };
    const run = await world.start({ store: new MemoryStore({ data }) });
    expect(run.settled).toBeUndefined();
  },
);

test("a row without the stream's creation time holds nothing against it", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  await (await world.start({ store: new MemoryStore({ data }) })).stop();
  const { streamCreationTimestamp: _, ...row } = rowOf(data);
  data.application(SCOPE).row = row;
  const run = await world.start({ store: new MemoryStore({ data }) });
  await world.put("a", "1");
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("the row tells the service's time of the first start, less 5 s, and which stream it is", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  const now = world.clock.now();
  await world.start({ store: new MemoryStore({ data }) });
  expect(rowOf(data)).toEqual({
    application: "billing",
    streamName: STREAM,
    streamARN: "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
    streamCreationTimestamp: new Date(now - 60_000),
    start: "LATEST",
    startedAt: new Date(now - 5000),
    migrated: false,
  });
});
