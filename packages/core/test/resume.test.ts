import { CreateStreamCommand, DeleteStreamCommand } from "@aws-sdk/client-kinesis";
import type { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { MemoryStore, type Clock } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const SCOPE = { application: "billing", streamName: STREAM };
const HOUR = 3_600_000;
const MINUTE = 60_000;

/** A clock whose timers are late, as those of a busy machine are: what is done each second is done each minute. */
function lateClock(clock: FakeClock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: (callback, ms) => clock.setTimer(callback, Math.max(ms, MINUTE)),
    yield: () => clock.yield(),
  };
}

test.each(["reject", "resume"] as const)(
  "a trimmed checkpoint goes on at the horizon, loudly, where the service would %s",
  async (trimmedSequenceNumbers) => {
    const world = await World.of({ trimmedSequenceNumbers });
    const store = new MemoryStore();
    await world.put("a", "done");
    await world.start({ store, start: "TRIM_HORIZON" }).then((run) => run.stop());
    await world.put("a", "trimmed unread");
    await world.clock.advance(HOUR);
    await world.put("a", "the oldest one left");
    await world.clock.advance(23 * HOUR + 1);
    const run = await world.start({ store });
    await world.clock.advance(500);

    expect(run.texts).toEqual(["the oldest one left"]);
    expect(world.logger.find("error", /trimmed/)).toHaveLength(1);
    expect(world.logger.find("error", /trimmed/)[0]!.fields).toMatchObject({ shardId: SHARD });
    expect(world.counter.total("trimmed")).toBe(1);
  },
);

test.each(["reject", "resume"] as const)(
  "a checkpoint that is still held is not called trimmed, where the service would %s",
  async (trimmedSequenceNumbers) => {
    const world = await World.of({ trimmedSequenceNumbers });
    const store = new MemoryStore();
    await world.put("a", "done");
    await world.start({ store, start: "TRIM_HORIZON" }).then((run) => run.stop());
    await world.put("a", "unread");
    await world.clock.advance(20 * HOUR);
    const run = await world.start({ store });

    expect(run.texts).toEqual(["unread"]);
    expect(world.counter.total("trimmed")).toBe(0);
  },
);

test.each(["reject", "resume"] as const)(
  "what retention takes unread while a scan runs is reported, where the service would %s",
  async (trimmedSequenceNumbers) => {
    const world = await World.of({ trimmedSequenceNumbers });
    await world.put("a", "read");
    const run = await world.start({
      start: "TRIM_HORIZON",
      scanIntervalMs: 25 * HOUR,
      clock: lateClock(world.clock),
    });
    await world.clock.advance(HOUR / 2);
    await world.put("a", "trimmed unread");
    await world.clock.advance(10 * HOUR);
    await world.put("a", "the oldest one left");
    await world.clock.advance(15 * HOUR);

    expect(run.texts).toEqual(["read", "the oldest one left"]);
    expect(world.logger.find("error", /may have been trimmed unread/)).toHaveLength(1);
    expect(world.counter.total("trimmed")).toBe(1);
  },
);

test.each(["reject", "resume"] as const)(
  "an idle shard that has outlived its last record misses nothing, where the service would %s",
  async (trimmedSequenceNumbers) => {
    const world = await World.of({ trimmedSequenceNumbers });
    await world.put("a", "read");
    // Each poll finds its iterator expired.
    const run = await world.start({
      start: "TRIM_HORIZON",
      scanIntervalMs: 13 * HOUR,
      clock: lateClock(world.clock),
    });
    await world.clock.advance(40 * HOUR);
    await world.put("a", "after days");
    await world.clock.advance(13 * HOUR);

    expect(run.texts).toEqual(["read", "after days"]);
    expect(world.logger.find("error", /./)).toEqual([]);
    expect(world.counter.total("trimmed")).toBe(0);
  },
);

test("a checkpoint of another shard is refused with what to do, not taken for trimmed", async () => {
  const world = await World.of({ shards: 2 });
  const store = new MemoryStore();
  const [other] = await world.put(keyOf(1, 2), "other shard's");
  await store.setCheckpoint(SCOPE, {
    shardId: SHARD,
    checkpoint: { kind: "position", sequenceNumber: other! },
  });
  const run = await world.start({ store });

  expect(run.error).toMatchObject({
    code: "CHECKPOINT_REFUSED",
    shardId: SHARD,
    message: expect.stringMatching(/belongs to another shard.*resetCheckpoint/),
  });
  expect(world.counter.total("trimmed")).toBe(0);
});

test("a number that the service refuses without a reason, and the shard never had, is refused", async () => {
  const world = await World.of({ trimmedSequenceNumbers: "reject" });
  const store = new MemoryStore();
  await store.setCheckpoint(SCOPE, {
    shardId: SHARD,
    checkpoint: { kind: "position", sequenceNumber: "123" },
  });
  const run = await world.start({ store });

  expect(run.error).toMatchObject({ code: "CHECKPOINT_REFUSED", shardId: SHARD });
  expect(world.counter.total("trimmed")).toBe(0);
});

test("a deleted and recreated stream is refused with what to do, not read from its horizon", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  await world.put("a", "old");
  await world.start({ store, start: "TRIM_HORIZON" }).then((run) => run.stop());
  await recreate(world);
  await world.put("a", "new");
  const run = await world.start({ store, start: "TRIM_HORIZON" });

  expect(run.texts).toEqual([]);
  expect(run.error).toMatchObject({
    code: "STREAM_RECREATED",
    message: expect.stringMatching(/deleted and recreated.*[Uu]se another application name/),
  });
});

test.each([1, 2])(
  "a stream of %i shards that is deleted and recreated with one under a scan is said to be another",
  async (shards) => {
    const world = await World.of({ shards });
    const run = await world.start({ start: "TRIM_HORIZON" });
    await world.put("a", "old");
    await recreate(world);
    await world.clock.advance(100);
    await world.put("a", "new");
    await world.clock.advance(45_000);

    expect(run.texts).toEqual(["old"]);
    expect(run.error).toMatchObject({
      code: "STREAM_RECREATED",
      retryable: false,
      message: expect.stringMatching(/deleted and recreated.*[Uu]se another application name/),
    });
    expect(world.counter.total("trimmed")).toBe(0);
  },
);

test("a stream recreated under a checkpoint without a row is refused by its number", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [old] = await world.put("a", "old");
  await recreate(world);
  await store.setCheckpoint(SCOPE, {
    shardId: SHARD,
    checkpoint: { kind: "position", sequenceNumber: old! },
  });
  const run = await world.start({ store });

  expect(run.error).toMatchObject({
    code: "STREAM_RECREATED",
    message: expect.stringContaining("resetCheckpoint"),
  });
  expect(world.counter.total("trimmed")).toBe(0);
});

test("children, and shards that appear later, are read from their first record, not from LATEST", async () => {
  const world = await World.of();
  const run = await world.start({ discoveryIntervalMs: 10_000, scanIntervalMs: 10_000 });
  await world.clock.advance(5000);
  await world.split(SHARD);
  await world.put(keyOf(0, 2), "into the first child, before anybody saw it");
  await world.put(keyOf(1, 2), "into the second child");
  await world.clock.advance(30_000);

  expect(run.records).toHaveLength(2);
  expect(world.iteratorTypes()).toEqual(["LATEST", "TRIM_HORIZON", "TRIM_HORIZON"]);
});

test("a shard that retention took, unread, ends loudly; its children are read", async () => {
  const world = await World.of();
  const run = await world.start({
    scanIntervalMs: 30 * HOUR,
    discoveryIntervalMs: 100 * HOUR,
    clock: lateClock(world.clock),
  });
  await world.put("a", "unread");
  await world.split(SHARD);
  await world.clock.advance(29 * HOUR);
  await world.put(keyOf(0, 2), "child's");
  await world.clock.advance(2 * HOUR);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["child's"]);
  expect(world.logger.find("error", /no longer part of the stream/)).toHaveLength(1);
  expect(world.counter.total("trimmed")).toBe(1);
});

test("a stream that is deleted under a scan is an error, and no shard's end", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const run = await world.start({ store });
  await world.kinesis.send(new DeleteStreamCommand({ StreamName: STREAM }));
  await world.clock.advance(100_000);

  expect(run.error).toMatchObject({ code: "STREAM_NOT_FOUND" });
  expect(await store.getCheckpoints(SCOPE)).toEqual(new Map());
});

async function recreate(world: World): Promise<void> {
  await world.clock.advance(5000);
  await world.kinesis.send(new DeleteStreamCommand({ StreamName: STREAM }));
  await world.clock.advance(5000);
  await world.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
}
