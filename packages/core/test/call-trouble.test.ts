import { expect, test } from "vitest";
import type { ConsumerEvent, LogFields } from "../src/index.ts";
import { FailingCalls, type Call } from "../src/telemetry/failing-calls.ts";
import { isFor } from "./support/calls.ts";
import { STREAM, World } from "./support/world.ts";

const HOUR = 3_600_000;
const SHARDS = ["shardId-000000000000", "shardId-000000000001"] as const;
const UNREACHABLE = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });

test("an hour without Kinesis and 50 shards is a handful of lines, and its end is reported", async () => {
  const world = await World.of({ shards: 50 });
  const run = await world.start({ scanIntervalMs: 10_000 });
  await world.clock.advance(5000);
  const before = world.logger.lines.length;
  const mend = world.kinesis.faults.fail({ times: Infinity, error: UNREACHABLE });
  await world.clock.advance(HOUR);
  mend();
  await world.clock.advance(60_000);

  expect(run.settled).toBeUndefined();
  const lines = world.logger.lines.slice(before).filter(({ level }) => level !== "debug");
  expect(lines.length).toBeLessThanOrEqual(30);
  expect(lines[0]).toMatchObject({
    level: "warn",
    message: expect.stringMatching(/^a call keeps failing/),
    fields: { operation: "GetRecords", err: UNREACHABLE },
  });
  expect(lines.filter(({ message }) => message === "a call is answered again")).toHaveLength(5);
});

test("a shard that fails twice now and then is reported a few times a minute at most", async () => {
  const world = await World.of();
  for (let call = 5; call < 2000; call += 10) {
    world.kinesis.faults.fail({ operation: "GetRecords", call, times: 2, error: UNREACHABLE });
  }
  await world.start();
  await world.clock.advance(300_000);

  const lines = world.logger.find("warn", /^a call keeps failing/);
  expect(lines.length).toBeGreaterThanOrEqual(20);
  expect(lines.length).toBeLessThanOrEqual(30);
});

test("one reply that a listed shard does not exist ends nothing", async () => {
  const world = await World.of({ shards: 2 });
  const error = "ResourceNotFoundException";
  world.kinesis.faults.fail({ where: isFor(SHARDS[0]), call: 2, times: 3, error });
  await world.put("a", "1", "2");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(10_000);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["1", "2"]);
  expect(world.counter.total("trimmed")).toBe(0);
});

test("a shard that is listed and not found for a minute fails, and is named", async () => {
  const world = await World.of({ shards: 2 });
  const error = "ResourceNotFoundException";
  world.kinesis.faults.fail({ where: isFor(SHARDS[0]), times: Infinity, error });
  const run = await world.start();
  await world.clock.advance(59_000);
  expect(run.settled).toBeUndefined();
  await world.clock.advance(31_000);

  expect(run.error).toMatchObject({ code: "SHARD_NOT_FOUND", shardId: SHARDS[0] });
});

test("a stream that was there is given a minute before it is said to be gone", async () => {
  const world = await World.of();
  const run = await world.start({ discoveryIntervalMs: 5000 });
  await world.clock.advance(1000);
  const error = "ResourceNotFoundException";
  world.kinesis.faults.fail({ operation: "ListShards", times: Infinity, error });
  await world.clock.advance(50_000);
  expect(run.settled).toBeUndefined();
  await world.clock.advance(50_000);

  expect(run.error).toMatchObject({
    code: "STREAM_NOT_FOUND",
    message: expect.stringContaining(`stream ${STREAM} does not exist`),
  });
});

test("calls that were given up are no trouble; one of two that fail is", async () => {
  const world = await World.of();
  const told: string[] = [];
  const sink = {
    debug() {},
    info() {},
    warn() {},
    emit: ({ kind }: ConsumerEvent) => told.push(kind),
  };
  const failingCalls = new FailingCalls(sink, world.clock);
  const calls = [1, 2].map((): Call => ({ service: "kinesis", operation: "ListShards" }));
  for (const call of calls) failingCalls.failed(call, UNREACHABLE);
  failingCalls.dropped(calls[0]!);
  expect(failingCalls.list).toMatchObject([{ operation: "ListShards", failures: 2 }]);
  failingCalls.dropped(calls[1]!);
  expect(failingCalls.list).toEqual([]);
  expect(told).toEqual(["stream-failing", "stream-recovered"]);
});

test("one shard that fails for days keeps no later outage out of the log", async () => {
  const world = await World.of();
  const warned: unknown[] = [];
  const warn = (_message: string, { operation }: LogFields): void => void warned.push(operation);
  const failingCalls = new FailingCalls({ debug() {}, info() {}, warn, emit() {} }, world.clock);
  const poll: Call = { service: "kinesis", operation: "GetRecords", shardId: SHARDS[0] };
  const list: Call = { service: "kinesis", operation: "ListShards" };
  for (let hour = 0; hour < 24; hour += 1) {
    for (const call of [poll, list, list]) failingCalls.failed(call, UNREACHABLE);
    failingCalls.answered(list);
    await world.clock.advance(HOUR);
  }
  expect(warned.filter((operation) => operation === "ListShards")).toHaveLength(24);
});
