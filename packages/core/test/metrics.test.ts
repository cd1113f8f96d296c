import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FakeClock } from "@kc/emulator";
import { expect, test, vi } from "vitest";
import { LeaseReporter } from "../src/groups/leases/lease-reporter.ts";
import { METRICS, MemoryStore, StoreError, type Counter, type Handler } from "../src/index.ts";
import { EventLoopDelay } from "../src/telemetry/event-loop-delay.ts";
import { Reporter } from "../src/telemetry/reporter.ts";
import { ShardSeries } from "../src/telemetry/shard-series.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { gate, isFor, keyOf } from "./support/calls.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { RecordingStore } from "./support/recording-store.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const OTHER = "shardId-000000000001";

const after = ({ clock }: World, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.setTimer(resolve, ms));

test("pages, and what a record takes in the handler, are reported once for each page", async () => {
  const world = await World.of({ maxRecordsPerPage: 2 });
  await world.put("a", "1", "2", "3");
  const run = await world.start({ start: "TRIM_HORIZON" }, () => after(world, 100));
  await world.clock.advance(2000);
  await run.stop();

  expect(world.counter.total("batches", { shardId: SHARD })).toBe(2);
  expect(world.counter.values("handler_duration")).toEqual([100, 100]);
});

test("a page that takes long is reported while it is handled, and is one page", async () => {
  const world = await World.of();
  await world.put("a", ..."123456789".split(""));
  const run = await world.start({ start: "TRIM_HORIZON" }, () => after(world, 400));
  await world.clock.advance(3900);
  expect(world.counter.total("records")).toBe(9);
  expect(world.counter.total("bytes")).toBe(9);
  expect(world.counter.values("handler_duration")).toEqual([400, 400, 400]);
  await run.stop();
  expect(world.counter.total("batches")).toBe(1);
});

test("what the store takes is not reported as the handler's", async () => {
  const world = await World.of();
  const store = new (class extends MemoryStore {
    override async setCheckpoints(
      ...args: Parameters<MemoryStore["setCheckpoints"]>
    ): ReturnType<MemoryStore["setCheckpoints"]> {
      await after(world, 300);
      return super.setCheckpoints(...args);
    }
  })();
  await world.put("a", "1", "2");
  const run = await world.start({ start: "TRIM_HORIZON", store, flushIntervalMs: 0 });
  await world.clock.advance(2000);
  await run.stop();

  expect(world.counter.values("handler_duration")).toEqual([0]);
  expect(world.counter.values("checkpoint_duration")).toEqual([300, 300]);
});

test("polls are reported with their duration, empty ones and throttles by shard", async () => {
  const world = await World.of({ shards: 2 });
  world.kinesis.faults.fail({
    operation: "GetRecords",
    where: isFor(OTHER),
    times: 2,
    error: "ProvisionedThroughputExceededException",
  });
  await world.put(keyOf(0, 2), "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(3000);
  const polls = world.counter.values("poll_duration").length;
  const empty = world.counter.total("empty_polls");
  await run.stop();

  expect(world.counter.total("throttles", { shardId: OTHER })).toBe(2);
  expect(world.counter.total("throttles")).toBe(2);
  expect(empty).toBeGreaterThan(10);
  // One had a record, two were refused.
  expect(polls).toBe(empty + 3);
});

test("requests that the SDK repeated by itself are throttles too", async () => {
  const world = await World.of();
  const { kinesis } = world;
  const client = {
    send: async (command: object, options?: { abortSignal?: AbortSignal }) => {
      const reply: { $metadata: object } = await kinesis.send(command as never, options);
      return "Records" in reply ? { ...reply, $metadata: { attempts: 3 } } : reply;
    },
  };
  const run = await world.start({ client, wire: "sdk" });
  await world.clock.advance(1000);
  await run.stop();
  const polls = world.counter.values("poll_duration").length;
  expect(world.counter.total("throttles", { shardId: SHARD })).toBe(2 * polls);
});

test("a record at which the handler fails is counted by shard", async () => {
  const world = await World.of();
  await world.put("a", "1");
  await world.start({ start: "TRIM_HORIZON" }, () => Promise.reject(new Error("no")));
  expect(world.counter.total("handler_errors", { shardId: SHARD })).toBe(1);
});

test("checkpoints that a later one covered, and writes that failed, are counted", async () => {
  const world = await World.of();
  let failures = 2;
  const store = new (class extends MemoryStore {
    override async setCheckpoints(
      ...args: Parameters<MemoryStore["setCheckpoints"]>
    ): ReturnType<MemoryStore["setCheckpoints"]> {
      if ((failures -= 1) >= 0) throw Object.assign(new Error("away"), { code: "ECONNRESET" });
      return super.setCheckpoints(...args);
    }
  })();
  await world.put("a", "1", "2", "3", "4", "5");
  const run = await world.start({ start: "TRIM_HORIZON", store });
  await world.clock.advance(900);
  await world.clock.advance(500);
  expect(world.counter.gauge("checkpoint_age")[SHARD]).toBeGreaterThan(500);
  await world.clock.advance(4000);
  expect(world.counter.gauge("checkpoint_age")).toEqual({ [SHARD]: 0 });
  await world.put("a", "6");
  await world.clock.advance(3000);
  await run.stop();

  const outcome = (name: string): number =>
    world.counter.total("checkpoints", { shardId: SHARD, outcome: name });
  expect([outcome("failed"), outcome("written")]).toEqual([2, 2]);
  expect(world.counter.total("checkpoints_coalesced", { shardId: SHARD })).toBe(4);
  expect(world.counter.values("checkpoint_duration")).toHaveLength(4);
});

test("a write that the store refuses to this worker is counted as lost", async () => {
  const world = await World.of();
  const store = new (class extends MemoryStore {
    override async setCheckpoints(): ReturnType<MemoryStore["setCheckpoints"]> {
      return [{ outcome: "lease-lost" }];
    }
  })();
  await world.put("a", "1");
  await world.start({ start: "TRIM_HORIZON", store });
  await world.clock.advance(2000);
  expect(world.counter.total("checkpoints", { shardId: SHARD, outcome: "lost" })).toBe(1);
});

test("records that wait and their memory are reported", async () => {
  const world = await World.of({ maxRecordsPerPage: 2 });
  const stuck = gate();
  await world.put("a", "1", "2", "3", "4", "5", "6", "7", "8");
  const run = await world.start(
    { start: "TRIM_HORIZON", immediateRescan: true },
    () => stuck.opened,
  );
  await world.clock.advance(3000);
  // The page in hand, and two that were read ahead.
  expect(world.counter.gauge("records_in_flight")).toEqual({ [SHARD]: 6 });
  expect(world.counter.gauge("buffer_bytes")[""]).toBeGreaterThan(0);
  stuck.open();
  await world.clock.advance(3000);
  expect(world.counter.gauge("records_in_flight")).toEqual({ [SHARD]: 0 });
  await run.stop();
  expect(world.counter.gauge("records_in_flight")).toEqual({});
  expect(world.counter.gauge("buffer_bytes")).toEqual({});
});

test("a closed shard's gauges end at once, its counters when whoever collects has seen them", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(2000);
  expect(world.counter.seriesOf(SHARD).length).toBeGreaterThan(6);
  await world.split(SHARD);
  await world.clock.advance(60_000);
  expect(world.counter.gauge("lag")).not.toHaveProperty(SHARD);
  expect(world.counter.total("records", { shardId: SHARD })).toBe(1);
  await world.clock.advance(5 * 60_000);
  expect(world.counter.seriesOf(SHARD)).toEqual([]);
  expect(world.counter.seriesOf("shardId-000000000001").length).toBeGreaterThan(1);
  await run.stop();
});

test("what a scan left of shards ends during a later one that does not read them, whoever runs it", async () => {
  const world = await World.of();
  const { counter } = world;
  const store = new MemoryStore();
  await world.put("a", "1");
  const run = await world.start({ store, start: "TRIM_HORIZON" });
  await world.clock.advance(2000);
  await world.split(SHARD);
  await world.clock.advance(60_000);
  await run.stop();
  await world.clock.advance(60 * 60_000);
  expect(counter.total("records", { shardId: SHARD }), "nothing reports").toBe(1);
  const next = await world.start({ store });
  await world.put("a", "2");
  await world.clock.advance(2000);
  expect(counter.seriesOf(SHARD)).toEqual([]);
  await world.clock.advance(10 * 60_000);
  const children = ["shardId-000000000001", "shardId-000000000002"];
  const counted = children.map((shardId) => counter.total("records", { shardId }));
  expect(counted.toSorted()).toEqual([0, 1]);
  await next.stop();
});

test("folded, metrics of shards are reported without the shard: sums, and the largest lag", async () => {
  const world = await World.of({ shards: 2, maxRecordsPerPage: 1 });
  const counter = new MemoryCounter({ perShard: false });
  await world.put(keyOf(0, 2), "1", "2");
  await world.put(keyOf(1, 2), "3");
  await world.clock.advance(4000);
  const stuck = gate();
  const run = await world.start({ counter, start: "TRIM_HORIZON" }, () => stuck.opened);
  await world.clock.advance(1000);
  expect(counter.gauge("lag")).toEqual({ "": 5000 });
  expect(counter.gauge("records_in_flight")).toEqual({ "": 3 });
  stuck.open();
  await world.clock.advance(1000);
  expect(counter.total("records", {})).toBe(3);
  await world.split(SHARD);
  await world.clock.advance(10 * 60_000);
  expect(counter.seriesOf("shardId")).toEqual([]);
  expect(counter.total("records", {})).toBe(3);
  await run.stop();
  expect(counter.gauge("lag")).toEqual({});
});

test("values that were dropped are counted, the adapter's too", async () => {
  const world = await World.of();
  const counter = new MemoryCounter();
  counter.dropped = 5;
  const consumer = world.consumer({ counter });
  const run = await world.run(consumer);
  counter.dropped = 12;
  await world.clock.advance(2500);
  expect(counter.total("dropped_metrics")).toBe(7);
  expect(consumer.status().droppedMetrics).toBe(12);
  await run.stop();
});

test("a counter that throws when it is asked what it dropped does not stop the scan", async () => {
  const world = await World.of();
  const counter = new MemoryCounter();
  Object.defineProperty(counter, "dropped", {
    get: () => {
      throw new Error("no");
    },
  });
  const run = await world.start({ counter });
  await world.clock.advance(2500);
  await run.stop();
  expect(run.error).toBeUndefined();
  expect(counter.total("dropped_metrics")).toBeGreaterThan(0);
});

test("a shard that is read again here in time keeps its counters", async () => {
  const clock = new FakeClock();
  const counter = new MemoryCounter();
  const telemetry = new Telemetry({ counter }, { stream: "s", application: "a" });
  const reporter = new Reporter(clock, telemetry, () => ({
    shards: [],
    failingCalls: [],
    bufferedBytes: 0,
    pollDelayMs: 0,
  }));
  reporter.start();
  telemetry.add("records", 1, { shardId: SHARD });
  reporter.ended(SHARD);
  await clock.advance(4 * 60_000);
  reporter.begun(SHARD);
  await clock.advance(10 * 60_000);
  expect(counter.total("records", { shardId: SHARD })).toBe(1);
  reporter.ended(SHARD);
  await clock.advance(6 * 60_000);
  expect(counter.seriesOf(SHARD)).toEqual([]);
  reporter.stop();
});

test("series that are over are forgotten: ended again, a shard has only what came since", () => {
  const series = new ShardSeries({ stream: "s", application: "a" }, true, {});
  series.of("records", { shardId: SHARD });
  series.of("lag", { shardId: SHARD });
  expect(series.take(SHARD).map(({ name }) => name)).toEqual(["records", "lag"]);
  const lag = series.of("lag", { shardId: SHARD });
  expect(series.of("lag", { shardId: SHARD }).attributes).toBe(lag.attributes);
  expect(series.take(SHARD)).toEqual([lag]);
  expect(series.take(OTHER)).toEqual([]);
});

test("what two consumers of a process report alike is folded, and over when the last has ended it", () => {
  const registry = {};
  const shown = new MemoryCounter();
  const worker = (): Telemetry => {
    const counter: Counter = {
      registry,
      add: (...figure) => shown.add(...figure),
      set: (...figure) => shown.set(...figure),
      remove: (...figure) => shown.remove(...figure),
    };
    return new Telemetry({ counter }, { stream: "s", application: "a" });
  };
  const [one, two, three] = [worker(), worker(), worker()];
  const shard = { shardId: SHARD };
  for (const each of [one, two]) each.add("records", 5, shard);
  one.set("shards", 3, { state: "reading" });
  two.set("shards", 4, { state: "reading" });
  one.set("lag", 9000, shard);
  two.set("lag", 1000, shard);
  expect(shown.gauge("shards")).toEqual({ reading: 7 });
  expect(shown.gauge("lag")).toEqual({ [SHARD]: 9000 });

  one.remove("lag", shard);
  one.remove("shards", { state: "reading" });
  one.removeShard(SHARD);
  expect(shown.gauge("lag")).toEqual({ [SHARD]: 1000 });
  expect(shown.gauge("shards")).toEqual({ reading: 4 });
  expect(shown.total("records", shard)).toBe(10);
  // A scan that is over ends nothing, and keeps nothing from being ended.
  three.add("records", 1, shard);
  three.leave(0);
  two.remove("lag", shard);
  two.removeShard(SHARD);
  expect(shown.seriesOf(SHARD)).toEqual([]);
});

test("counters are shown as 0 before they count, those of a shard with its beginning", async () => {
  const world = await World.of();
  const told: string[] = [];
  const counter: Counter = {
    add: (name, value, attributes) => void told.push(JSON.stringify([name, value, attributes])),
  };
  await world.put("a", "1");
  const run = await world.start({ counter, start: "TRIM_HORIZON" });
  const first = (name: string): string | undefined =>
    told.find((line) => line.startsWith(`["${name}"`));
  const names = Object.entries(METRICS).flatMap(([name, { kind, attributes }]) =>
    kind === "counter" && (attributes.length === 0 || attributes.join() === "shardId")
      ? [name]
      : [],
  );
  expect(names).toContain("leases_lost");
  expect(names).toContain("evictions");
  for (const name of names) expect(first(name), name).toMatch(/^\["\w+",0,/);
  const valued = [
    ["checkpoints", "outcome", METRICS.checkpoints.values.outcome],
    ["errors", "error", METRICS.errors.values.error],
    ["leases_acquired", "reason", METRICS.leases_acquired.values.reason],
    ["leases_released", "reason", METRICS.leases_released.values.reason],
  ] as const;
  for (const [name, attribute, values] of valued) {
    for (const value of values) {
      const line = told.find(
        (each) => each.startsWith(`["${name}"`) && each.includes(`"${attribute}":"${value}"`),
      );
      expect(line, value).toMatch(new RegExp(`^\\["${name}",0,`));
    }
  }
  await run.stop();
});

test("calls are timed apart by what they failed with", async () => {
  const world = await World.of();
  const told: unknown[] = [];
  const counter: Counter = {
    add: () => {},
    record: (name, _value, attributes) =>
      void told.push([name, "error" in attributes ? attributes.error : undefined]),
  };
  const store = new (class extends MemoryStore {
    override async setCheckpoints(
      ...call: Parameters<MemoryStore["setCheckpoints"]>
    ): ReturnType<MemoryStore["setCheckpoints"]> {
      if (
        told.some((each) => isDeepStrictEqual(each, ["checkpoint_duration", "STORE_UNAVAILABLE"]))
      ) {
        return super.setCheckpoints(...call);
      }
      throw new StoreError("STORE_UNAVAILABLE", "away", { retryable: true });
    }
  })();
  await world.put("a", "1");
  world.kinesis.faults.fail({ operation: "GetRecords", error: "InternalFailure" });
  await world.start({ counter, store, start: "TRIM_HORIZON" });
  await world.clock.advance(10_000);
  expect(told).toContainEqual(["poll_duration", "InternalFailure"]);
  expect(told).toContainEqual(["poll_duration", undefined]);
  expect(told).toContainEqual(["checkpoint_duration", "STORE_UNAVAILABLE"]);
  expect(told).toContainEqual(["checkpoint_duration", undefined]);
});

test("a lease that was lost was not given back", () => {
  const counter = new MemoryCounter();
  const reporter = new LeaseReporter(new Telemetry({ counter }, { stream: "s", application: "a" }));
  const lease = { shardId: SHARD, fence: { epoch: 1, owner: "w#1" } };
  reporter.released(lease, "lost");
  reporter.released(lease, "forced");
  expect(counter.total("leases_lost")).toBe(1);
  expect(counter.total("leases_released")).toBe(1);
  expect(counter.total("handoffs_forced")).toBe(1);
});

test("a second of the event loop is reported with the longest time it was held up", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(5000);
  const delay = new EventLoopDelay();
  now.mockReturnValue(5300);
  // It was looked for each 100 ms.
  expect(delay.takeLongest()).toBe(200);
  expect(delay.takeLongest()).toBe(0);
  delay.stop();
  now.mockRestore();

  const world = await World.of();
  const run = await world.start();
  await world.clock.advance(3000);
  const cleared = vi.spyOn(globalThis, "clearInterval");
  await run.stop();
  expect(world.counter.values("event_loop_delay")).toHaveLength(3);
  expect(cleared).toHaveBeenCalledTimes(1);
  vi.restoreAllMocks();
});

test("a handler that returns after its scan is over keeps no series of its shard for ever", async () => {
  const world = await World.of({ shards: 1 });
  await world.put("key", "one");
  let open = (): void => {};
  const stuck = new Promise<void>((resolve) => (open = resolve));
  const removed: string[] = [];
  const counter: Counter = {
    add: () => {},
    remove: (name) => void removed.push(name),
  };
  const scanOf = async (handler: Handler, act: () => Promise<void>): Promise<unknown> => {
    const consumer = world.consumer({ counter, start: "TRIM_HORIZON" });
    const stop = new AbortController();
    const ended = consumer.scan(handler, { signal: stop.signal }).catch((error: unknown) => error);
    await world.clock.advance(5000);
    await act();
    stop.abort();
    await world.clock.advance(60_000);
    return ended;
  };
  const error = await scanOf(
    () => stuck,
    async () => {},
  );
  expect(error).toMatchObject({ code: "DRAIN_TIMEOUT" });
  open();
  await world.clock.advance(1000);
  await scanOf(
    () => {},
    async () => {
      await world.split(SHARD);
      await world.clock.advance(6 * 60_000);
    },
  );
  expect(removed).toEqual(expect.arrayContaining(["records", "bytes"]));
});

test("a handler that returns long after its shard was given up keeps no series of it, though the scan goes on", async () => {
  const world = await World.of();
  const { counter } = world;
  const store = new RecordingStore(world.clock);
  const group = new ScriptedGroup(store.data);
  let open = (): void => {};
  const stuck = new Promise<void>((resolve) => (open = resolve));
  const run = await world.start({ group, store, start: "TRIM_HORIZON" }, () => stuck);
  const grant = group.grant(SHARD);
  await world.put("a", "1");
  await world.clock.advance(1000);
  grant.handOff(5000);
  await world.clock.advance(10 * 60_000);
  expect(grant.outcome).toMatchObject({ kind: "forced" });
  expect(counter.seriesOf(SHARD)).toEqual([]);
  open();
  await world.clock.advance(1000);
  // What it has done is counted all the same.
  expect(counter.total("records", { shardId: SHARD })).toBe(1);
  await world.clock.advance(6 * 60_000);
  expect(counter.seriesOf(SHARD)).toEqual([]);
  await run.stop();
});

test("without a counter, nothing is kept of the shards that have ended", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const clock = new FakeClock();
  const telemetry = new Telemetry({}, { stream: "orders", application: "billing" }, clock);
  const reporter = new Reporter(clock, telemetry, () => {
    throw new Error("nobody asks");
  });
  reporter.start();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let shard = 0; shard < 100_000; shard += 1) {
    reporter.begun(`shardId-${shard}`);
    reporter.ended(`shardId-${shard}`);
  }
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000);
  reporter.stop();
});

test("whoever answers with ever new names of errors makes a bounded number of series", async () => {
  const world = await World.of();
  for (let call = 1; call <= 60; call += 1) {
    const error = Object.assign(new Error("no"), {
      name: `Hostile${call}`,
      $metadata: { httpStatusCode: 500 },
    });
    world.kinesis.faults.fail({ operation: "GetRecords", call, error });
  }
  const series = new Set<unknown>();
  const note = (name: string, _value: number, attributes: object): void =>
    void series.add(`${name} ${"error" in attributes ? String(attributes.error) : ""}`);
  const counter: Counter = { add: note, record: note };
  const run = await world.start({ counter, start: "TRIM_HORIZON" });
  await world.put("a", "1");
  await world.clock.advance(30 * 60_000);
  expect(run.texts).toEqual(["1"]);
  expect([...series].filter((each) => String(each).includes("Hostile"))).toHaveLength(2 * 50);
  expect(series).toContain("retries other");
  expect(series).toContain("poll_duration other");
  await run.stop();
});
