import { expect, test } from "vitest";
import { checkpointAt, MemoryStore, StoreError, type ConsumerStatus } from "../src/index.ts";
import { healthOf } from "../src/telemetry/health.ts";
import { gate, keyOf } from "./support/calls.ts";
import { RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

const [SHARD, OTHER] = ["shardId-000000000000", "shardId-000000000001"];

test("a consumer that does not scan is idle, and not alive", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const idle = { stream: "orders", application: "billing", state: "idle", shards: [] };
  const none = { failingCalls: [], bufferedBytes: 0, pollDelayMs: 0, droppedMetrics: 0 };
  expect(consumer.status()).toEqual({ ...idle, ...none, stage: undefined });
  expect(consumer.health()).toEqual({
    alive: false,
    ready: false,
    reasons: ["no scan is under way"],
    stuckShards: [],
    unreadShards: [],
    laggingShards: [],
    expiringShards: [],
  });
  const run = await world.run(consumer);
  expect(consumer.status()).toMatchObject({ state: "running", stage: "reading" });
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
  await run.stop();
  expect(consumer.status()).toMatchObject(idle);
});

test("a shard's status says where it is, what the store knows, and since when", async () => {
  const world = await World.of();
  const consumer = world.consumer({ store: new MemoryStore(), start: "TRIM_HORIZON" });
  const [first] = await world.put("a", "1");
  await world.run(consumer);
  await world.clock.advance(100);

  const [shard] = consumer.status().shards;
  const position = checkpointAt({ sequenceNumber: first! });
  expect(shard).toEqual({
    shardId: SHARD,
    state: "reading",
    pausedBy: undefined,
    retry: undefined,
    keysHeldUp: 0,
    recordsInFlight: 0,
    lagMs: 0,
    retentionHeadroomMs: 86_400_000,
    handlingForMs: 0,
    position,
    acknowledged: undefined,
    unflushedForMs: 100,
    sinceLastPollMs: 100,
    unreadForMs: 0,
    error: undefined,
    owner: undefined,
  });
  await world.clock.advance(1000);
  expect(consumer.status().shards[0]).toMatchObject({ acknowledged: position, unflushedForMs: 0 });
  expect(JSON.parse(JSON.stringify(consumer.status()))).toMatchObject({ state: "running" });
});

test("the lag of a stuck handler grows, in status and metrics; another shard's does not", async () => {
  const world = await World.of({ shards: 2 });
  const stuck = gate();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  await world.run(consumer, ({ shardId }) => (shardId === SHARD ? stuck.opened : undefined));
  await world.put(keyOf(0, 2), "stuck");
  await world.clock.advance(120_000);

  const [shard, other] = consumer.status().shards;
  expect(shard).toMatchObject({ shardId: SHARD, state: "handling" });
  expect(shard!.lagMs).toBeGreaterThan(119_000);
  expect(shard!.handlingForMs).toBeGreaterThan(119_000);
  expect(other).toMatchObject({ shardId: OTHER, state: "reading", lagMs: 0 });
  expect(world.counter.gauge("lag")[SHARD]).toBeGreaterThan(118_000);
  expect(world.counter.gauge("lag")[OTHER]).toBe(0);
  expect(consumer.health({ stuckAfterMs: 60_000 })).toMatchObject({
    alive: false,
    ready: false,
    stuckShards: [SHARD],
  });
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
  expect(consumer.health({ laggingAfterMs: 60_000 })).toEqual({
    alive: true,
    ready: false,
    reasons: [`shards are far behind: ${SHARD}`],
    stuckShards: [],
    unreadShards: [],
    laggingShards: [SHARD],
    expiringShards: [],
  });

  stuck.open();
  await world.clock.advance(2000);
  expect(consumer.status().shards[0]).toMatchObject({ lagMs: 0, handlingForMs: 0 });
  expect(world.counter.gauge("lag")[SHARD]).toBe(0);
  expect(consumer.health().alive).toBe(true);
});

test("the lag of a shard that is throttled grows, and its error is reported until a reply comes", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  await world.run(consumer);
  await world.clock.advance(1000);
  const lift = world.kinesis.faults.fail({
    operation: "GetRecords",
    times: Infinity,
    error: "ProvisionedThroughputExceededException",
  });
  await world.clock.advance(90_000);

  const [shard] = consumer.status().shards;
  expect(shard!.lagMs).toBeGreaterThan(85_000);
  expect(shard!.error).toMatch(/ProvisionedThroughputExceededException/);
  expect(world.counter.gauge("lag")[SHARD]).toBeGreaterThan(84_000);
  lift();
  await world.clock.advance(40_000);
  expect(consumer.status().shards[0]).toMatchObject({ error: undefined });
  expect(consumer.status().shards[0]!.lagMs).toBeLessThan(1000);
});

test("delivery that waits for the store is paused, not stuck", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const consumer = world.consumer({ store, start: "TRIM_HORIZON", maxUnflushedMs: 5000 });
  await world.run(consumer);
  const back = store.let("setCheckpoints", async () => {
    throw new StoreError("STORE_UNAVAILABLE", "away", { retryable: true });
  });
  for (let i = 0; i < 10; i += 1) {
    await world.put("a", String(i));
    await world.clock.advance(1000);
  }
  await world.clock.advance(100_000);

  expect(consumer.status().shards[0]).toMatchObject({ state: "paused", handlingForMs: 0 });
  expect(consumer.status().shards[0]!.unflushedForMs).toBeGreaterThan(100_000);
  expect(consumer.status().shards[0]!.lagMs).toBeGreaterThan(100_000);
  expect(consumer.health().stuckShards).toEqual([]);
  back();
  await world.clock.advance(10_000);
  expect(consumer.status().shards[0]).toMatchObject({ state: "reading", lagMs: 0 });
});

test("a stop is seen: the consumer stops, the shard drains", async () => {
  const world = await World.of();
  const stuck = gate();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  await world.put("a", "1");
  const run = await world.run(consumer, () => stuck.opened);
  run.abort();
  await world.clock.advance(1000);
  expect(consumer.status()).toMatchObject({ state: "stopping", shards: [{ state: "draining" }] });
  expect(consumer.health()).toMatchObject({ alive: true, ready: false });
  stuck.open();
  await run.stop();
  expect(world.clock.pendingTimers).toBe(0);
});

test("the memory of waiting pages is reported, and so are values that the counter threw at", async () => {
  const world = await World.of({ maxRecordsPerPage: 1 });
  const stuck = gate();
  const counter = {
    add: () => {
      throw new Error("broken");
    },
    set: () => {},
    record: () => {},
    remove: () => {},
  };
  const consumer = world.consumer({ start: "TRIM_HORIZON", counter });
  await world.put("a", "x".repeat(10_000), "y".repeat(10_000));
  await world.run(consumer, () => stuck.opened);
  await world.clock.advance(1000);
  expect(consumer.status().bufferedBytes).toBeGreaterThan(20_000);
  stuck.open();
  await world.clock.advance(1000);
  expect(consumer.status().bufferedBytes).toBeLessThan(1000);
  expect(consumer.status().droppedMetrics).toBeGreaterThan(2);
});

test("a worker without shards is ready: it stands by", () => {
  const status: ConsumerStatus = {
    stream: "s",
    application: "a",
    state: "running",
    stage: "reading",
    shards: [],
    failingCalls: [],
    bufferedBytes: 0,
    pollDelayMs: 0,
    droppedMetrics: 0,
  };
  expect(healthOf(status)).toMatchObject({ alive: true, ready: true });
});
