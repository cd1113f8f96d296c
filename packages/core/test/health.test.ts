import type { FakeClock } from "@kc/emulator";
import { expect, test, vi } from "vitest";
import { sleep } from "../src/clock.ts";
import {
  LeaseGroup,
  MemoryStore,
  StoreError,
  type Clock,
  type Consumer,
  type ConsumerEvent,
  type Health,
} from "../src/index.ts";
import { gate, isFor, keyOf } from "./support/calls.ts";
import { GroupWorld, OUTAGE } from "./support/group-world.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { failing, RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

/** One test for each row of the table in `docs/health.md`. */
const [SHARD, OTHER] = ["shardId-000000000000", "shardId-000000000001"];
const FIVE_MINUTES = 5 * 60_000;

function eventsOf(consumer: Consumer): ConsumerEvent[] {
  const heard: ConsumerEvent[] = [];
  void (async () => {
    for await (const event of consumer.events()) heard.push(event);
  })();
  return heard;
}

const credentials = Object.assign(new Error("Could not load credentials from any providers"), {
  name: "CredentialsProviderError",
});

test("a stream that cannot be described: alive, not ready, and the cause is reported everywhere", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const heard = eventsOf(consumer);
  const lift = world.kinesis.faults.fail({
    operation: "DescribeStreamSummary",
    times: Infinity,
    error: credentials,
  });
  await world.run(consumer);
  await world.clock.advance(65_000);

  expect(consumer.status()).toMatchObject({ state: "running", stage: "describing", shards: [] });
  expect(consumer.status().failingCalls).toEqual([
    {
      service: "kinesis",
      operation: "DescribeStreamSummary",
      error: expect.stringMatching(/^CredentialsProviderError: Could not load/),
      failures: expect.any(Number),
      forMs: 65_000,
    },
  ]);
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [
      expect.stringMatching(
        /^the stream is not described yet for 65 s: DescribeStreamSummary: CredentialsProviderError/,
      ),
    ],
  });
  expect(heard).toEqual([
    { kind: "scan-started" },
    {
      kind: "stream-failing",
      operation: "DescribeStreamSummary",
      error: expect.stringMatching(/Could not load/),
    },
  ]);
  expect(world.counter.gauge("outage_age")).toEqual({ DescribeStreamSummary: 65_000 });
  expect(world.logger.find("warn", /keeps failing/)).toHaveLength(1);
  expect(world.logger.find("warn", /not described yet/)[0]!.fields).toMatchObject({
    operation: "DescribeStreamSummary",
    why: expect.stringMatching(/Could not load/),
  });

  lift();
  await world.clock.advance(60_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true, reasons: [] });
  expect(consumer.status()).toMatchObject({ stage: "reading", failingCalls: [] });
  expect(heard).toContainEqual({
    kind: "stream-recovered",
    operation: "DescribeStreamSummary",
    forMs: expect.any(Number),
  });
  expect(world.counter.gauge("outage_age")).toEqual({});
  expect(world.logger.find("info", /answered again|the start is over/)).toHaveLength(2);
});

test("without a logger, a start that fails for a minute is one process warning, with its cause", async () => {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const world = await World.of();
  const target = { operation: "DescribeStreamSummary", times: Infinity } as const;
  world.kinesis.faults.fail({ ...target, error: credentials });
  await world.start({ logger: undefined } as object);
  await world.clock.advance(55_000);
  expect(warned).not.toHaveBeenCalled();
  await world.clock.advance(3_600_000);

  const [call, ...others] = warned.mock.calls;
  expect(others).toEqual([]);
  expect(call).toEqual([
    expect.stringMatching(
      /^the consumer of stream "orders" .* the stream is not described yet: .*Could not load cred/,
    ),
    { type: "KinesisConsumerWarning", code: "KC_NOT_READING" },
  ]);
  vi.restoreAllMocks();
});

test("a start that gets on needs no process warning", async () => {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const world = await World.of();
  await world.start({ logger: undefined } as object);
  await world.clock.advance(300_000);
  expect(warned).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});

test("a store that is away at the start: not ready, and the store's call is named", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const back = store.let("openApplication", async () => {
    throw new StoreError("STORE_UNAVAILABLE", "away", { retryable: true });
  });
  const consumer = world.consumer({ store });
  const heard = eventsOf(consumer);
  await world.run(consumer);
  await world.clock.advance(65_000);

  expect(consumer.status()).toMatchObject({ stage: "opening" });
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [expect.stringMatching(/not opened in the store yet.*openApplication: .*away/)],
  });
  expect(heard.at(-1)).toMatchObject({ kind: "store-failing", operation: "openApplication" });
  expect(world.counter.gauge("outage_age")).toMatchObject({ openApplication: 65_000 });
  back();
  await world.clock.advance(10_000);
  expect(consumer.health().ready).toBe(true);
  expect(heard).toContainEqual(expect.objectContaining({ kind: "store-recovered" }));
});

test("a worker that cannot join its group is not ready, and says why", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  const store = new MemoryStore({ data: group.data });
  vi.spyOn(store, "joinWorker").mockRejectedValue(OUTAGE);
  const consumer = world.consumer({ store, group: new LeaseGroup({ workerId: "a" }) });
  await world.run(consumer);
  await world.clock.advance(65_000);

  expect(consumer.status()).toMatchObject({ stage: "joining", shards: [] });
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [expect.stringMatching(/not joined its group yet.*joinWorker: /)],
  });
});

test("a listing that fails: at the start nothing is read; later on, what is known is read on", async () => {
  const world = await World.of();
  const target = { operation: "ListShards", times: Infinity } as const;
  const error = "LimitExceededException";
  const lift = world.kinesis.faults.fail({ ...target, error });
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const run = await world.run(consumer);
  await world.clock.advance(5000);
  expect(consumer.status()).toMatchObject({ stage: "listing" });
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [expect.stringMatching(/no shards are known yet.*ListShards: LimitExceeded/)],
  });
  lift();
  await world.clock.advance(10_000);
  expect(consumer.health().ready).toBe(true);

  world.kinesis.faults.fail({ ...target, error });
  await world.clock.advance(70_000);
  expect(consumer.health().ready).toBe(true);
  await world.clock.advance(30_000);
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [expect.stringMatching(/^a call fails for \d\d s: ListShards: LimitExceeded/)],
    unreadShards: [],
  });
  await world.put("a", "1");
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("shards that were never read make no consumer ready, however well the rest goes", async () => {
  const world = await World.of({ shards: 2 });
  const lift = world.kinesis.faults.fail({
    operation: "GetRecords",
    times: Infinity,
    error: "InternalFailure",
  });
  const consumer = world.consumer();
  await world.run(consumer);
  await world.clock.advance(1000);
  expect(consumer.status()).toMatchObject({ stage: "polling" });
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [expect.stringMatching(/^no shard was read yet: InternalFailure/)],
  });
  lift();
  await world.clock.advance(40_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
});

test("an outage of Kinesis: alive whatever it lasts, not ready after a minute, ready when it is over", async () => {
  const world = await World.of({ shards: 2 });
  const consumer = world.consumer();
  await world.run(consumer);
  await world.clock.advance(5000);
  const lift = world.kinesis.faults.fail({ times: Infinity, error: "ServiceUnavailable" });
  await world.clock.advance(50_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
  await world.clock.advance(3_600_000);

  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    unreadShards: [SHARD, OTHER],
    stuckShards: [],
  });
  expect(consumer.health().reasons[0]).toMatch(
    /^shards get no reply of GetRecords: shardId-000000000000, shardId-000000000001: ServiceUn/,
  );
  expect(world.counter.gauge("unread_age")[SHARD]).toBeGreaterThan(3_600_000);
  lift();
  await world.clock.advance(60_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true, reasons: [] });
  expect(world.counter.gauge("unread_age")).toEqual({ [SHARD]: 0, [OTHER]: 0 });
});

test("one shard whose polls hang is named; the others are read on", async () => {
  const world = await World.of({ shards: 2 });
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const run = await world.run(consumer);
  await world.clock.advance(1000);
  world.kinesis.faults.delay({
    operation: "GetRecords",
    where: isFor(SHARD),
    times: Infinity,
    ms: 1e9,
  });
  await world.clock.advance(65_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: false, unreadShards: [SHARD] });
  expect(consumer.status().shards[0]!.error).toMatch(/did not answer/);
  expect(world.logger.find("warn", /shards get no reply/)).toHaveLength(1);
  await world.put(keyOf(1, 2), "1");
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["1"]);
});

test("a stuck handler is logged after a minute and not alive after five, until it returns", async () => {
  const world = await World.of({ shards: 2 });
  const stuck = gate();
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  await world.put(keyOf(0, 2), "stuck");
  await world.run(consumer, () => stuck.opened);
  await world.clock.advance(59_000);
  expect(world.logger.find("warn", /a handler does not return/)).toHaveLength(0);
  await world.clock.advance(6000);
  const [line] = world.logger.find("warn", /a handler does not return/);
  expect(line!.fields).toMatchObject({ shardId: SHARD, forMs: expect.any(Number) });
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
  await world.clock.advance(FIVE_MINUTES);
  expect(consumer.health()).toEqual({
    alive: false,
    ready: false,
    reasons: [`a handler does not return for 365 s: ${SHARD}`],
    stuckShards: [SHARD],
    unreadShards: [],
    laggingShards: [],
    expiringShards: [],
  } satisfies Health);
  await world.clock.advance(3_600_000 - FIVE_MINUTES);
  expect(world.logger.find("warn", /a handler does not return/)).toHaveLength(7);

  stuck.open();
  await world.clock.advance(10_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
  expect(world.logger.find("info", /the handler has returned/)).toHaveLength(1);
});

test("a stuck handler stays in sight when its lease is gone, until it returns", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const stuck = gate();
  const counter = new MemoryCounter();
  const a = await group.join("a", { consumer: { counter } }, () => stuck.opened);
  await world.clock.advance(3000);
  await group.put(0, 1);
  await world.clock.advance(3000);
  const b = await group.join("b");
  a.link.state = "cut";
  await world.clock.advance(30_000);
  a.link.state = "whole";
  await world.clock.advance(30_000);

  const { consumer } = a.run;
  expect(group.owners["00"]).toBe("b");
  expect(b.run.texts).toEqual(["0"]);
  expect(consumer.status().shards).toMatchObject([{ shardId: SHARD, state: "abandoned" }]);
  expect(counter.gauge("shards")).toMatchObject({ abandoned: 1 });
  expect(counter.gauge("lag")).toEqual({});
  expect(consumer.health({ stuckAfterMs: 60_000 })).toMatchObject({
    alive: false,
    ready: false,
    stuckShards: [SHARD],
    unreadShards: [],
  });
  stuck.open();
  await world.clock.advance(3000);
  expect(consumer.status().shards).toEqual([]);
  expect(consumer.health({ stuckAfterMs: 60_000 })).toMatchObject({ alive: true, ready: true });
});

test("stuck handlers that hold all memory are named, and the memory is reported", async () => {
  const world = await World.of({ shards: 6, quotas: false });
  for (let shard = 0; shard < 6; shard += 1) {
    await world.put(keyOf(shard, 6), ...Array<string>(6).fill("x".repeat(1_000_000)));
  }
  const maxBufferedBytes = 16 * 1024 * 1024;
  const consumer = world.consumer({ start: "TRIM_HORIZON", maxBufferedBytes });
  const stuck = gate();
  const run = await world.run(consumer, () => stuck.opened);
  await world.clock.advance(FIVE_MINUTES + 10_000);

  const health = consumer.health();
  expect(health).toMatchObject({ alive: false, ready: false });
  // In the end each shard gets a page of one record, whatever the others hold.
  expect(health.stuckShards).toEqual(await world.shardIds());
  expect(consumer.status().bufferedBytes).toBeGreaterThan(10_000_000);
  expect(world.counter.gauge("buffer_bytes")[""]).toBeGreaterThan(10_000_000);
  stuck.open();
  await world.clock.advance(30_000);
  expect(run.records).toHaveLength(36);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
});

test("shards for which stuck handlers have left no memory yet are unread", async () => {
  const count = 40;
  const world = await World.of({ shards: count, quotas: false });
  for (let shard = 0; shard < count; shard += 1) {
    await world.put(keyOf(shard, count), "x".repeat(1_000_000));
  }
  const maxBufferedBytes = 16 * 1024 * 1024;
  const consumer = world.consumer({ start: "TRIM_HORIZON", maxBufferedBytes });
  const stuck = gate();
  await world.run(consumer, () => stuck.opened);
  await world.clock.advance(70_000);

  const waiting = consumer.status().shards.filter(({ state }) => state === "reading");
  expect(waiting.length).toBeGreaterThan(0);
  expect(consumer.health().unreadShards).toEqual(waiting.map(({ shardId }) => shardId));
  stuck.open();
  await world.clock.advance(3000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true, unreadShards: [] });
});

test("a shard that came back waits for its own earlier handler, and both are in sight", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const stuck = gate();
  const a = await group.join("a", {}, () => stuck.opened);
  await world.clock.advance(3000);
  await group.put(0, 1);
  await world.clock.advance(3000);
  const b = await group.join("b");
  a.link.state = "cut";
  await world.clock.advance(30_000);
  a.link.state = "whole";
  await b.run.stop();
  await world.clock.advance(90_000);

  const { consumer } = a.run;
  const states = consumer.status().shards.map(({ shardId, state }) => [shardId, state]);
  expect(states).toEqual([
    [SHARD, "waiting"],
    [SHARD, "abandoned"],
  ]);
  expect(consumer.health()).toMatchObject({ ready: false, unreadShards: [SHARD] });
  stuck.open();
  await world.clock.advance(3000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
});

test("a store that is away: not ready after a minute, by what waits for it", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const consumer = world.consumer({ store, start: "TRIM_HORIZON", maxUnflushedMs: 5000 });
  const heard = eventsOf(consumer);
  await world.run(consumer);
  const back = store.let("setCheckpoints", async () => {
    throw new StoreError("STORE_UNAVAILABLE", "away", { retryable: true });
  });
  await world.put("a", "1");
  await world.clock.advance(10_000);
  await world.put("a", "2");
  await world.clock.advance(70_000);

  expect(consumer.status().shards[0]).toMatchObject({ state: "paused", unreadForMs: 0 });
  expect(consumer.health()).toMatchObject({
    alive: true,
    ready: false,
    reasons: [
      `the store does not take what is finished: ${SHARD}`,
      expect.stringMatching(/^a call fails for \d\d s: setCheckpoints: StoreError: away/),
    ],
  });
  expect(heard).toContainEqual(
    expect.objectContaining({ kind: "store-failing", operation: "setCheckpoints" }),
  );
  back();
  await world.clock.advance(10_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
});

test("a store that is away while each record waits for it: no handler is stuck, nobody restarts", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const consumer = world.consumer({ store, start: "TRIM_HORIZON", flushIntervalMs: 0 });
  const run = await world.run(consumer);
  const back = store.let("setCheckpoints", async () => {
    throw new StoreError("STORE_UNAVAILABLE", "away", { retryable: true });
  });
  await world.put("a", "1", "2");
  await world.clock.advance(FIVE_MINUTES + 60_000);

  expect(consumer.status().shards[0]).toMatchObject({ state: "paused", handlingForMs: 0 });
  expect(consumer.health()).toMatchObject({ alive: true, ready: false, stuckShards: [] });
  expect(world.logger.find("warn", /a handler does not return/)).toEqual([]);
  back();
  await world.clock.advance(10_000);
  expect(run.texts).toEqual(["1", "2"]);
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
});

test("heartbeats that do not get through: the outage is reported, and the worker is not ready", async () => {
  const group = await GroupWorld.of({ shards: 1 });
  const { world } = group;
  const a = await group.join("a");
  await world.clock.advance(5000);
  const { consumer } = a.run;
  expect(consumer.health()).toMatchObject({ alive: true, ready: true });
  a.link.state = "hangs";
  await world.clock.advance(80_000);
  expect(consumer.health()).toMatchObject({ alive: true, ready: false });
  expect(consumer.status().failingCalls.map(({ operation }) => operation)).toContain("heartbeat");
  expect(world.counter.gauge("outage_age")["heartbeat"]).toBeGreaterThan(60_000);
});

test("a worker whose shards are still another's is not ready; one that is to spare is", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const busy = gate();
  const a = await group.join("a", {}, () => busy.opened);
  await clock.advance(3000);
  await group.put(0, 10);
  await clock.advance(1000);
  const b = await group.join("b");
  await clock.advance(5000);
  expect(b.run.consumer.status()).toMatchObject({ stage: "listing", shards: [] });
  expect(b.run.consumer.health()).toMatchObject({ alive: true, ready: false });
  busy.open();
  await clock.advance(5000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  expect(b.run.consumer.health()).toMatchObject({ alive: true, ready: true });

  const spare = await group.join("c");
  await clock.advance(5000);
  expect(spare.run.consumer.status()).toMatchObject({ stage: "reading", shards: [] });
  expect(spare.run.consumer.health()).toMatchObject({ alive: true, ready: true });
  expect(a.run.consumer.health()).toMatchObject({ alive: true, ready: true });
});

/** A clock whose timers wait while the process is said to be blocked. */
function blockable(clock: FakeClock): Clock & { blocked: boolean } {
  const held: (() => void)[] = [];
  let isBlocked = false;
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: (callback, ms) => clock.setTimer(() => (isBlocked ? held.push(callback) : callback()), ms), // prettier-ignore
    yield: () => clock.yield(),
    get blocked() {
      return isBlocked;
    },
    set blocked(value) {
      isBlocked = value;
      for (const callback of held.splice(0)) callback();
    },
  };
}

test.each([
  ["a blocked event loop", true],
  ["a store out of reach", false],
])("a worker that was evicted says why: %s", async (_why, blocks) => {
  const group = await GroupWorld.of({ shards: 2 });
  const { world } = group;
  const logger = new MemoryLogger();
  const clock = blockable(world.clock);
  const a = await group.join("a", { consumer: { logger, clock } });
  const b = await group.join("b");
  await world.clock.advance(5000);
  if (blocks) clock.blocked = true;
  else a.link.state = "cut";
  await world.clock.advance(15_000);
  expect(group.shares).toEqual({ b: 2 });
  if (blocks) clock.blocked = false;
  else a.link.state = "whole";
  await world.clock.advance(15_000);

  const [line] = logger.find("warn", /^this worker is out of the group/);
  const { silentForMs, failedHeartbeats, eventLoopBlockedMs } = line!.fields;
  expect(line!.fields).toMatchObject({ workerId: "a", end: "evicted" });
  expect(silentForMs).toBeGreaterThan(10_000);
  if (blocks) {
    expect(failedHeartbeats).toBe(0);
    expect(eventLoopBlockedMs).toBeGreaterThan(10_000);
  } else {
    expect(failedHeartbeats).toBeGreaterThan(5);
    expect(eventLoopBlockedMs).toBe(0);
  }
  const [evicts] = world.logger.find("warn", /it is evicted$/);
  expect(evicts!.fields).toMatchObject({ silentForMs: expect.any(Number) });
  expect(group.shares).toEqual({ a: 1, b: 1 });
  expect(b.run.settled).toBeUndefined();
});

test("the log says once what begins, what a stop waits for, and what was done", async () => {
  const world = await World.of({ shards: 2 });
  const stuck = gate();
  const store = new MemoryStore();
  const stream = `arn:aws:kinesis:us-east-1:000000000000:stream/orders`;
  await world.put(keyOf(0, 2), "one", "two", "three");
  const run = await world.start({ store, stream, start: "TRIM_HORIZON" }, (record) =>
    record.text() === "three" ? stuck.opened : undefined,
  );
  await world.clock.advance(1000);
  run.abort();
  await world.clock.advance(16_000);
  stuck.open();
  await run.stop();

  const [begun] = world.logger.find("info", /^the scan begins$/);
  expect(begun!.fields).toEqual({
    stream: "orders",
    application: "billing",
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    region: "us-east-1",
    store: "MemoryStore",
    group: "AllGroup",
  });
  expect(world.logger.find("info", /^records in hand are finished/)[0]!.fields).toMatchObject({
    shards: 2,
    handling: 1,
    drainTimeoutMs: 20_000,
  });
  expect(world.logger.find("warn", /^the scan stops, and waits/)[0]!.fields).toMatchObject({
    shards: [SHARD],
    count: 1,
  });
  expect(world.logger.find("info", /^the scan has ended$/)[0]!.fields).toMatchObject({
    records: 3,
    bytes: 11,
    shards: 2,
  });
});

test("a call that failed once and is not needed any more is no trouble", async () => {
  const group = await GroupWorld.of({ shards: 2 });
  const { clock } = group.world;
  const [a, b] = [await group.join("a"), await group.join("b")];
  await clock.advance(4000);
  b.link.only = ["evictWorker"];
  a.link.state = b.link.state = "cut";
  const evictions = (): number => b.link.calls.filter((name) => name === "evictWorker").length;
  while (evictions() === 0) await clock.advance(100);
  // It beats again before the next try, and nobody is to be evicted.
  a.link.state = "whole";
  await clock.advance(2000);
  b.link.state = "whole";
  await clock.advance(120_000);
  expect(group.shares).toEqual({ a: 1, b: 1 });
  expect(b.run.consumer.status().failingCalls).toEqual([]);
  expect(b.run.consumer.health()).toMatchObject({ ready: true, reasons: [] });
});

test("a loop of records() that is slow is not stuck, however many shards wait; one that stops is", async () => {
  const world = await World.of({ shards: 10 });
  const { clock } = world;
  for (let shard = 0; shard < 10; shard += 1) await world.put(keyOf(shard, 10), "1", "2");
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const stop = new AbortController();
  let takesMs = 60_000;
  const taken: string[] = [];
  const read = async (): Promise<void> => {
    for await (const record of consumer.records({ signal: stop.signal })) {
      taken.push(record.shardId);
      await sleep(clock, takesMs, stop.signal);
    }
  };
  const reading = read();
  await clock.advance(2 * FIVE_MINUTES);
  expect(consumer.health()).toMatchObject({ alive: true, stuckShards: [] });
  expect(new Set(taken).size).toBeGreaterThanOrEqual(9);
  takesMs = Infinity;
  await clock.advance(FIVE_MINUTES + 61_000);
  expect(consumer.health().alive).toBe(false);
  stop.abort();
  await clock.advance(60_000);
  await reading;
});

test("a shard at its end is not unread; an onShardClosed that does not return is stuck", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const hook = gate();
  const run = await world.start({ store, onShardClosed: () => hook.opened });
  await world.clock.advance(1000);
  const mend = store.let("setCheckpoints", failing(OUTAGE));
  await world.split(SHARD);
  await world.clock.advance(120_000);
  expect(run.consumer.health().reasons).toEqual([
    expect.stringMatching(/^the store does not take what is finished/),
    expect.stringMatching(/^a call fails/),
  ]);
  mend();
  await world.clock.advance(FIVE_MINUTES + 10_000);
  expect(run.consumer.health()).toMatchObject({ alive: false, stuckShards: [SHARD] });
  expect(run.consumer.status().shards).toMatchObject([{ state: "handling", unreadForMs: 0 }]);
  hook.open();
  await world.clock.advance(10_000);
  expect(run.consumer.health()).toMatchObject({ alive: true, ready: true });
});
