import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { DrainTimeoutError, MemoryStore, type Checkpoint } from "../src/index.ts";
import { gate, keyOf, taking } from "./support/calls.ts";
import { World } from "./support/world.ts";

const SCOPE = { application: "billing", streamName: "orders" };

test("an abort resolves the scan, with no timer left", async () => {
  const world = await World.of({ shards: 3 });
  const run = await world.start();
  await world.clock.advance(1000);
  run.abort();
  await world.clock.settle();

  expect(run.settled).toEqual({ error: undefined });
  expect(world.clock.pendingTimers).toBe(0);
});

test("a scan whose signal has aborted before it begins makes no call", async () => {
  const world = await World.of();
  await world.consumer().scan(() => {}, { signal: AbortSignal.abort() });

  expect(world.kinesis.calls).toEqual([]);
  expect(world.clock.pendingTimers).toBe(0);
});

test("no record is started after an abort, and what is done is flushed", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const stop = new AbortController();
  const numbers = await world.put("a", "1", "2", "3");
  const seen: string[] = [];
  const scan = world.consumer({ store, start: "TRIM_HORIZON" }).scan(
    (record) => {
      seen.push(record.text());
      if (record.text() === "2") stop.abort();
    },
    { signal: stop.signal },
  );
  await world.clock.settle();
  await scan;

  expect(seen).toEqual(["1", "2"]);
  expect(await checkpointOf(store)).toEqual({ kind: "position", sequenceNumber: numbers[1] });
});

test("work in flight finishes within the drain, and is flushed", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [number] = await world.put("a", "1", "2");
  const run = await world.start({ store, start: "TRIM_HORIZON" }, taking(world, 19_000));
  run.abort();
  await world.clock.advance(18_000);
  expect(run.settled).toBeUndefined();
  await world.clock.advance(1000);

  expect(run.settled).toEqual({ error: undefined });
  expect(run.texts).toEqual(["1"]);
  expect(await checkpointOf(store)).toEqual({ kind: "position", sequenceNumber: number });
});

test("a handler that never returns does not hang the stop: the error names its shard", async () => {
  const world = await World.of({ shards: 2 });
  const store = new MemoryStore();
  const signals: AbortSignal[] = [];
  const [done] = await world.put(keyOf(0, 2), "1");
  await world.put(keyOf(1, 2), "stuck", "never begun");
  const run = await world.start({ store, start: "TRIM_HORIZON" }, (record, { signal }) => {
    if (record.text() !== "stuck") return undefined;
    signals.push(signal);
    return new Promise(() => {});
  });
  run.abort();
  await world.clock.advance(19_999);
  expect(run.settled).toBeUndefined();
  expect(signals[0]!.aborted).toBe(false);
  await world.clock.advance(1);

  expect(signals[0]!.aborted).toBe(true);
  expect(run.error).toBeInstanceOf(DrainTimeoutError);
  expect(run.error).toMatchObject({
    code: "DRAIN_TIMEOUT",
    shards: [{ shardId: "shardId-000000000001", acknowledged: undefined, waitingFor: "handler" }],
    message: expect.stringMatching(/20000 ms: shardId-000000000001 \(handler still running/),
  });
  expect(await checkpointOf(store)).toEqual({ kind: "position", sequenceNumber: done });
  expect(world.clock.pendingTimers).toBe(0);
});

test("a handler that follows the caller's signal stops, and does not fail: its record comes again", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const stop = new AbortController();
  await world.put("a", "1");
  const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
  const following = async (): Promise<void> => {
    await sleep(world.clock, 60_000, stop.signal);
    stop.signal.throwIfAborted();
  };
  const scan = consumer.scan(following, { signal: stop.signal });
  await world.clock.advance(1000);
  stop.abort();
  await expect(scan).resolves.toBeUndefined();

  const again = await world.start({ store });
  expect(again.texts).toEqual(["1"]);
});

test("a handler that was given up checkpoints nothing when it returns after all", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const late = gate();
  await world.put("a", "1", "2");
  const run = await world.start(
    { store, start: "TRIM_HORIZON", drainTimeoutMs: 100 },
    () => late.opened,
  );
  await run.stop();
  late.open();
  await world.clock.advance(60_000);

  expect(run.texts).toEqual(["1"]);
  expect(await checkpointOf(store)).toBeUndefined();
  expect(world.clock.pendingTimers).toBe(0);
});

test("a stop after a handler's failure is bounded by the drain too, and keeps the failure", async () => {
  const world = await World.of({ shards: 2 });
  await world.put(keyOf(0, 2), "stuck");
  await world.put(keyOf(1, 2), "bad");
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) => {
    if (record.text() === "bad") throw new Error("no");
    return new Promise(() => {});
  });
  await world.clock.advance(20_000);

  expect(run.error).toMatchObject({ code: "HANDLER_FAILED" });
  expect(world.logger.find("error", /ran out of time/)).toHaveLength(1);
  expect(world.clock.pendingTimers).toBe(0);
});

test("a store that takes nothing does not hang the stop either, nor keep a timer", async () => {
  const world = await World.of();
  class StuckStore extends MemoryStore {
    override setCheckpoints(): Promise<never> {
      return new Promise(() => {});
    }
  }
  await world.put("a", "1");
  const run = await world.start({ store: new StuckStore(), start: "TRIM_HORIZON" });
  run.abort();
  await world.clock.advance(21_000);

  expect(run.error).toMatchObject({
    code: "DRAIN_TIMEOUT",
    shards: [{ shardId: "shardId-000000000000", waitingFor: "flush" }],
  });
  expect(world.clock.pendingTimers).toBe(0);
});

test("a store that fails in passing keeps no timer once the stop has given up", async () => {
  const world = await World.of();
  class FailingStore extends MemoryStore {
    override setCheckpoints(): Promise<never> {
      return Promise.reject(Object.assign(new Error("down"), { code: "ECONNREFUSED" }));
    }
  }
  await world.put("a", "1");
  const run = await world.start({ store: new FailingStore(), start: "TRIM_HORIZON" });
  run.abort();
  await world.clock.advance(21_000);

  expect(run.error).toMatchObject({ code: "DRAIN_TIMEOUT" });
  expect(world.clock.pendingTimers).toBe(0);
});

const SLOW_CALLS = [
  ["the stream is described", "DescribeStreamSummary"],
  ["the shards are listed", "ListShards"],
  ["an iterator is awaited", "GetShardIterator"],
  ["records are awaited", "GetRecords"],
] as const;

test.each(SLOW_CALLS)(
  "an abort while %s resolves at once, and is no error",
  async (_, operation) => {
    const world = await World.of();
    world.kinesis.faults.delay({ operation, ms: 10_000 });
    const run = await world.start();
    await world.clock.advance(5000);
    run.abort();
    await world.clock.settle();

    expect(run.settled).toEqual({ error: undefined });
    expect(world.counter.total("errors")).toBe(0);
    expect(world.clock.pendingTimers).toBe(0);
  },
);

test.each(SLOW_CALLS)("an abort between retries, while %s, is no error", async (_, operation) => {
  const world = await World.of();
  world.kinesis.faults.fail({ operation, times: Infinity, error: "InternalFailure" });
  const run = await world.start({ random: () => 0.999 });
  await world.clock.advance(5000);
  run.abort();
  await world.clock.settle();

  expect(run.settled).toEqual({ error: undefined });
  expect(world.clock.pendingTimers).toBe(0);
});

test.each(SLOW_CALLS)(
  "an abort while %s by a client that knows no signal is no error",
  async (_, operation) => {
    const world = await World.of();
    world.kinesis.faults.hang({ operation });
    const client = { send: (command: object) => world.kinesis.send(command as never) };
    const stop = new AbortController();
    const scan = world.consumer({ client }).scan(() => {}, { signal: stop.signal });
    await world.clock.advance(5000);
    stop.abort();

    await expect(scan).resolves.toBeUndefined();
  },
);

test("an abort while checkpoints are loaded is no error", async () => {
  const world = await World.of();
  class SlowStore extends MemoryStore {
    override getCheckpoints(): Promise<never> {
      return new Promise(() => {});
    }
  }
  const run = await world.start({ store: new SlowStore() });
  run.abort();
  await world.clock.settle();

  expect(run.settled).toEqual({ error: undefined });
  expect(world.clock.pendingTimers).toBe(0);
});

test("an abort without a reason, or with any, is no error", async () => {
  for (const reason of [undefined, null, "enough", new TypeError("enough")]) {
    const world = await World.of();
    const stop = new AbortController();
    const scan = world.consumer().scan(() => {}, { signal: stop.signal });
    await world.clock.advance(300);
    stop.abort(reason);
    await expect(scan).resolves.toBeUndefined();
  }
});

test("an abort during a closed shard's last record does not checkpoint its end", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const closed: string[] = [];
  const [number] = await world.put("a", "last");
  await world.split("shardId-000000000000");
  const stop = new AbortController();
  const consumer = world.consumer({
    store,
    start: "TRIM_HORIZON",
    onShardClosed: (shardId) => closed.push(shardId),
  });
  const scan = consumer.scan(() => stop.abort(), { signal: stop.signal });
  await world.clock.settle();
  await scan;

  expect(await checkpointOf(store)).toEqual({ kind: "position", sequenceNumber: number });
  expect(closed).toEqual([]);
});

test("the caller's signal is left without a listener", async () => {
  const world = await World.of();
  const stop = new AbortController();
  let listeners = 0;
  const { signal } = stop;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  const scan = world.consumer().scanShard("shardId-000000000000", () => {}, { signal });
  await world.clock.advance(500);
  await world.split("shardId-000000000000");
  await world.clock.advance(500);
  await scan;

  expect(listeners).toBe(0);
});

async function checkpointOf(store: MemoryStore): Promise<Checkpoint | undefined> {
  return store.getCheckpoint(SCOPE, "shardId-000000000000");
}
