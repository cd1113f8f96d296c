import { GetRecordsCommand } from "@aws-sdk/client-kinesis";
import { expect, test } from "vitest";
import { MemoryStore } from "../src/index.ts";
import { gate, isFor, keyOf, pollsOf, taking } from "./support/calls.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const MIB = 2 ** 20;

test("while a page is handled the next ones are fetched, and come without a wait", async () => {
  const world = await World.of({ maxRecordsPerPage: 1 });
  await world.put("a", "1", "2", "3", "4", "5", "6");
  world.kinesis.faults.delay({ operation: "GetRecords", times: Infinity, ms: 300 });
  const at: number[] = [];
  const began = world.clock.now();
  const handler = taking(world, 1000);
  await world.start({ start: "TRIM_HORIZON" }, () => {
    at.push(world.clock.now() - began);
    return handler();
  });
  await world.clock.advance(6000);

  expect(at).toEqual([300, 1300, 2300, 3300, 4300, 5300]);
});

test("a stuck handler stops the reading of its shard after two pages more, and no other's", async () => {
  const world = await World.of({ shards: 2 });
  const stuck = gate();
  const run = await world.start({ start: "TRIM_HORIZON" }, ({ shardId }) =>
    shardId === SHARD ? stuck.opened : undefined,
  );
  for (let i = 0; i < 20; i += 1) {
    await world.put(keyOf(0, 2), `stuck ${i}`);
    await world.put(keyOf(1, 2), `quick ${i}`);
    await world.clock.advance(1000);
  }
  const polls = pollsOf(world, SHARD).length;
  await world.clock.advance(10_000);

  expect(run.texts.filter((text) => text.startsWith("quick"))).toHaveLength(20);
  expect(pollsOf(world, SHARD).length).toBe(polls);
  stuck.open();
  await world.clock.advance(5000);
  expect(run.texts.filter((text) => text.startsWith("stuck"))).toEqual(
    Array.from({ length: 20 }, (_, i) => `stuck ${i}`),
  );
});

test("a stop drops what was only read ahead: the next start delivers it, once and in order", async () => {
  const world = await World.of({ maxRecordsPerPage: 2 });
  const store = new MemoryStore();
  await world.put("a", "1", "2", "3", "4", "5", "6");
  const inHand = gate();
  const first = await world.start({ store, start: "TRIM_HORIZON" }, (record) =>
    record.text() === "2" ? inHand.opened : undefined,
  );
  await world.clock.advance(2000);
  expect(pollsOf(world).length).toBeGreaterThanOrEqual(3);
  first.abort();
  inHand.open();
  await first.stop();
  expect(first.texts).toEqual(["1", "2"]);

  const second = await world.start({ store });
  await world.clock.advance(2000);
  expect(second.texts).toEqual(["3", "4", "5", "6"]);
});

test("an iterator that expires while pages wait is recreated after the last one read, not handled", async () => {
  const world = await World.of({ maxRecordsPerPage: 1 });
  await world.put("a", "1", "2", "3", "4", "5");
  const stuck = gate();
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) =>
    record.text() === "1" ? stuck.opened : undefined,
  );
  await world.clock.advance(6 * 60_000);
  expect(run.texts).toEqual(["1"]);
  stuck.open();
  await world.clock.advance(5000);

  expect(run.texts).toEqual(["1", "2", "3", "4", "5"]);
  expect(world.counter.total("iterator_refreshes")).toBe(1);
  expect(world.iteratorTypes()).toEqual(["TRIM_HORIZON", "AT_SEQUENCE_NUMBER"]);
});

test("an error of reading comes after the pages that were read before it", async () => {
  const world = await World.of({ maxRecordsPerPage: 1 });
  const store = new MemoryStore();
  const [, , third] = await world.put("a", "1", "2", "3", "4");
  world.kinesis.faults.fail({ operation: "GetRecords", call: 4, error: "ValidationException" });
  const run = await world.start({ store, start: "TRIM_HORIZON" }, taking(world, 1000));
  await world.clock.advance(10_000);

  expect(run.error).toMatchObject({ code: "KINESIS_FAILED" });
  expect(run.texts).toEqual(["1", "2", "3"]);
  const checkpoint = await store.getCheckpoint(
    { application: "billing", streamName: STREAM },
    SHARD,
  );
  expect(checkpoint).toEqual({ kind: "position", sequenceNumber: third });
});

test("pages of 10 MiB are read at the shard's pace: without a throttle, and without a pause too long", async () => {
  const world = await World.of({ quotas: { writes: false } });
  const megabyte = "x".repeat(MIB - 100);
  for (let i = 0; i < 40; i += 1) await world.put("a", megabyte);
  const run = await world.start({ start: "TRIM_HORIZON", immediateRescan: true });
  const began = world.clock.monotonic();
  while (run.records.length < 40) await world.clock.advance(100);

  expect(world.counter.total("retries")).toBe(0);
  expect(world.clock.monotonic() - began).toBeLessThanOrEqual(20_000);
});

test("two consumers with half a share each read a shard to the tip without a throttle", async () => {
  const world = await World.of({ quotas: { writes: false }, maxRecordsPerPage: 1 });
  const half = "x".repeat(MIB / 2);
  for (let i = 0; i < 30; i += 1) await world.put("a", half);
  const options = { start: "TRIM_HORIZON", immediateRescan: true, readShare: 0.5 } as const;
  const runs = [
    await world.start({ ...options, application: "one" }),
    await world.start({ ...options, application: "two" }),
  ];
  await world.clock.advance(60_000);

  expect(runs.map(({ records }) => records.length)).toEqual([30, 30]);
  expect(world.counter.total("retries")).toBe(0);
});

test("retries that the SDK made unasked count against the quota", async () => {
  const world = await World.of();
  const polls: number[] = [];
  const client = {
    send: async (command: object, options?: { abortSignal?: AbortSignal }) => {
      if (command instanceof GetRecordsCommand) polls.push(world.clock.monotonic());
      const output = await world.kinesis.send(command as GetRecordsCommand, options);
      return { ...output, $metadata: { attempts: 3 } };
    },
  };
  const run = await world.start({ client, scanIntervalMs: 200 });
  await world.clock.advance(30_000);
  await run.stop();

  expect(polls.length).toBeLessThanOrEqual((30 * 5) / 3 + 3);
});

test("memory is bounded over all shards: pages wait for room, and each shard gets its turn", async () => {
  const shards = 8;
  const world = await World.of({ shards, quotas: { reads: false, writes: false } });
  const megabyte = "x".repeat(MIB - 100);
  for (let shard = 0; shard < shards; shard += 1) {
    for (let i = 0; i < 9; i += 1) await world.put(keyOf(shard, shards), megabyte);
  }
  const stuck = gate();
  const run = await world.start(
    { start: "TRIM_HORIZON", maxBufferedBytes: 16 * MIB, immediateRescan: true },
    () => stuck.opened,
  );
  for (let i = 0; i < 300; i += 1) {
    await world.clock.advance(100);
    expect(run.consumer.status().bufferedBytes).toBeLessThanOrEqual(17 * MIB);
  }
  stuck.open();
  await world.clock.advance(60_000);
  expect(run.records).toHaveLength(shards * 9);
});

test("the memory of shards that were read to their ends serves their children", async () => {
  const world = await World.of({ shards: 8, quotas: { reads: false, writes: false } });
  const megabyte = "x".repeat(1_000_000);
  for (let shard = 0; shard < 8; shard += 1) {
    for (let i = 0; i < 9; i += 1) await world.put(keyOf(shard, 8), megabyte);
  }
  await world.scale(16);
  for (let shard = 0; shard < 16; shard += 1) await world.put(keyOf(shard, 16), "child");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(60_000);

  expect(run.records).toHaveLength(8 * 9 + 16);
});

test("idle shards that are many are polled at the idle interval, not in step, and come back at a record", async () => {
  const shards = 300;
  const world = await World.of({ shards });
  let seed = 1;
  const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  await world.start({ random });
  await world.clock.advance(10_000);
  world.kinesis.resetCalls();
  await world.clock.advance(5000);
  const polls = world.kinesis.calls.filter(({ operation }) => operation === "GetRecords");
  expect(polls.length / shards).toBeGreaterThanOrEqual(4.5);
  expect(polls.length / shards).toBeLessThanOrEqual(5.5);
  const byTenth = new Map<number, number>();
  for (const { at } of polls) {
    byTenth.set(Math.floor(at / 100), (byTenth.get(Math.floor(at / 100)) ?? 0) + 1);
  }
  expect(Math.max(...byTenth.values())).toBeLessThan((3 * polls.length) / 50);

  world.kinesis.resetCalls();
  for (let i = 0; i < 8; i += 1) {
    await world.put(keyOf(0, shards), "busy");
    await world.clock.advance(250);
  }
  const busy = world.kinesis.calls.filter(
    ({ operation, input }) => operation === "GetRecords" && isFor(SHARD)(input),
  );
  expect(busy.length).toBeGreaterThanOrEqual(4);
});
