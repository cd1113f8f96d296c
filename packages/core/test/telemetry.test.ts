import { Writable } from "node:stream";
import { format, inspect } from "node:util";
import { pino } from "pino";
import { expect, expectTypeOf, test, vi } from "vitest";
import {
  fromPino,
  MemoryStore,
  METRICS,
  SkipCheckpoint,
  type Counter,
  type Handler,
  type Logger,
  type MetricAttributes,
  type MetricDefinition,
  type MetricName,
} from "../src/index.ts";
import { gate, isFor, keyOf } from "./support/calls.ts";
import { MemoryLogger } from "./support/memory-logger.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";

test("records and bytes count each record, the skipped ones too, by shard", async () => {
  const world = await World.of({ shards: 2 });
  const run = await world.start({ start: "TRIM_HORIZON" }, (record) =>
    record.text() === "four" ? SkipCheckpoint : undefined,
  );
  await world.put(keyOf(0, 2), "one", "four");
  await world.put(keyOf(1, 2), "three");
  await world.clock.advance(500);
  await run.stop();

  expect(world.counter.total("records")).toBe(3);
  expect(world.counter.total("records", { shardId: SHARD })).toBe(2);
  expect(world.counter.total("bytes", { shardId: SHARD })).toBe(7);
  expect(world.counter.total("bytes")).toBe(12);
});

test("a record whose handler fails is counted, those that were not begun are not", async () => {
  const world = await World.of();
  await world.put("a", "1", "bad", "3");
  await world.start({ start: "TRIM_HORIZON" }, (record) => {
    if (record.text() === "bad") throw new Error("no");
  });

  expect(world.counter.total("records")).toBe(2);
  expect(world.counter.total("errors", { error: "HANDLER_FAILED" })).toBe(1);
});

test("checkpoints, retries and errors are counted, by what they are", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({ operation: "GetRecords", times: 2, error: "InternalFailure" });
  await world.put("a", "1");
  await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(3000);
  world.kinesis.faults.fail({ operation: "GetRecords", error: "ValidationException" });
  await world.clock.advance(1000);

  expect(world.counter.total("checkpoints", { shardId: SHARD, outcome: "written" })).toBe(1);
  expect(
    world.counter.total("retries", { operation: "GetRecords", error: "InternalFailure" }),
  ).toBe(2);
  expect(world.counter.total("errors", { error: "KINESIS_FAILED" })).toBe(1);
});

test("lag is reported by shard, and disappears with the shard; shards are reported by state", async () => {
  const world = await World.of({ shards: 2, maxRecordsPerPage: 1 });
  await world.put(keyOf(0, 2), "1", "2");
  await world.clock.advance(4000);
  const stuck = gate();
  const run = await world.start({ start: "TRIM_HORIZON" }, () => stuck.opened);
  await world.clock.advance(1000);
  expect(world.counter.gauge("lag")).toEqual({ [SHARD]: 5000, "shardId-000000000001": 0 });
  expect(world.counter.gauge("shards")).toMatchObject({ handling: 1, reading: 1, paused: 0 });

  stuck.open();
  await world.clock.advance(1000);
  expect(world.counter.gauge("lag")).toEqual({ [SHARD]: 0, "shardId-000000000001": 0 });
  await world.split(SHARD);
  await world.clock.advance(1000);
  expect(Object.keys(world.counter.gauge("lag"))).not.toContain(SHARD);
  expect(world.counter.gauge("shards")).toMatchObject({ handling: 0, reading: 3 });
  await run.stop();

  expect(world.counter.gauge("lag")).toEqual({});
  expect(world.counter.gauge("shards")).toEqual({});
});

test("lag disappears even if the handler never returns", async () => {
  const world = await World.of();
  const stuck = gate();
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON", drainTimeoutMs: 100 }, () => stuck.opened);
  await run.stop();
  expect(world.counter.gauge("lag")).toEqual({});
  stuck.open();
  await world.clock.advance(1000);

  expect(world.counter.gauge("lag")).toEqual({});
  expect(world.counter.gauge("shards")).toEqual({});
});

test("every value has a name and attributes of the one map, and the stream and application", async () => {
  const world = await World.of();
  const seen: (readonly [string, object])[] = [];
  const counter: Counter = {
    add: (name, _value, attributes) => void seen.push([name, attributes]),
    set: (name, _value, attributes) => void seen.push([name, attributes]),
    record: (name, _value, attributes) => void seen.push([name, attributes]),
    remove: (name, attributes) => void seen.push([name, attributes]),
  };
  world.kinesis.faults.fail({ operation: "GetRecords", error: "InternalFailure" });
  world.kinesis.faults.fail({
    operation: "GetRecords",
    call: 2,
    error: "ExpiredIteratorException",
  });
  await world.put("a", "1");
  const run = await world.start({ counter, start: "TRIM_HORIZON" });
  await world.clock.advance(3000);
  await run.stop();

  expect(new Set(seen.map(([name]) => name)).size).toBeGreaterThanOrEqual(14);
  for (const [name, attributes] of seen) {
    expect(Object.keys(METRICS)).toContain(name);
    const { attributes: all, optional = [] }: MetricDefinition = METRICS[name as MetricName];
    const own = all.filter((each) => each in attributes || !optional.includes(each));
    expect(Object.keys(attributes).toSorted()).toEqual(
      [...own, "stream", "application"].toSorted(),
    );
    expect(attributes).toMatchObject({ stream: STREAM, application: "billing" });
  }
});

test("a counter's names and attributes are typed", () => {
  expectTypeOf<MetricAttributes<"records">>().toExtend<{
    readonly shardId?: string;
    readonly stream: string;
  }>();
  expectTypeOf<MetricAttributes<"handler_duration">>().not.toHaveProperty("shardId");
  expectTypeOf<Parameters<Counter["add"]>[0]>().not.toEqualTypeOf<string>();
  expectTypeOf<"lag">().not.toExtend<Parameters<Counter["add"]>[0]>();
  expectTypeOf<"lag">().toExtend<Parameters<NonNullable<Counter["set"]>>[0]>();
  expectTypeOf<"poll_duration">().toExtend<Parameters<NonNullable<Counter["record"]>>[0]>();
});

test("console fits as a logger as it is", async () => {
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.spyOn(console, "info").mockImplementation(() => {});
  const logger: Logger = console;
  const world = await World.of();
  const run = await world.start({ logger });
  await run.stop();

  expect(warned).toHaveBeenCalledWith(expect.stringMatching(/^no store/), {
    stream: STREAM,
    application: "billing",
  });
  vi.restoreAllMocks();
});

test("each line takes one on the console, whatever its error carries", async () => {
  const lines: string[] = [];
  for (const level of ["debug", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...args: unknown[]) => {
      lines.push(format(...args));
    });
  }
  const world = await World.of();
  await world.put("a", "1");
  await world.start({ logger: console, start: "TRIM_HORIZON" }, () => {
    throw new Error("cannot handle this", { cause: new TypeError("a\nb\nc") });
  });
  vi.restoreAllMocks();

  expect(lines.filter((line) => line.includes("\n"))).toEqual([]);
  const failure = lines.find((line) => line.startsWith("the scan stops"));
  expect(failure).toContain("stream: 'orders', application: 'billing'");
  expect(failure).toMatch(/the handler failed at \d+: Error'/);
});

test("a logger that writes JSON has an error's text", async () => {
  const lines: string[] = [];
  const write = (message: string, fields?: object): void =>
    void lines.push(JSON.stringify({ message, ...fields }));
  const logger: Logger = { debug: write, info: write, warn: write, error: write };
  const world = await World.of();
  await world.put("a", "1");
  await world.start({ logger, start: "TRIM_HORIZON" }, () => {
    throw new RangeError("cannot handle this");
  });

  const failure = lines.find((line) => line.includes("the scan stops"));
  expect(JSON.parse(failure!)).toMatchObject({
    stream: STREAM,
    error: expect.stringMatching(/^KcError: .*: RangeError$/),
  });
});

test("fromPino writes the message, the fields, and an error with its stack and cause", async () => {
  const written: Record<string, unknown>[] = [];
  const world = await World.of();
  await world.put("a", "1");
  await world.start(
    { logger: fromPino(pino({ level: "debug" }, into(written))), start: "TRIM_HORIZON" },
    () => {
      throw new RangeError("cannot handle this");
    },
  );

  expect(written.find(({ msg }) => msg === "reading a shard")).toMatchObject({
    level: 30,
    stream: STREAM,
    application: "billing",
    shardId: SHARD,
    from: "TRIM_HORIZON",
  });
  expect(written.find(({ msg }) => msg === "the scan stops")).toMatchObject({
    level: 50,
    err: {
      code: "HANDLER_FAILED",
      message: expect.stringMatching(/the handler failed at \d+: RangeError/),
      stack: expect.stringMatching(/caused by: RangeError\n +at .*telemetry\.test/),
    },
  });
});

/** Handlers whose errors quote the record. */
const QUOTING: readonly Handler[] = [
  (record) => JSON.parse(record.text()),
  (record) => Promise.reject(new TypeError(`not this: ${record.partitionKey}`)),
  (record) => { throw record.text(); }, // prettier-ignore
  (record) => { throw new Error(`no\n    at ${record.text()}\n    at all`, { cause: new Error(record.text()) }); }, // prettier-ignore
  (record) => { throw Object.assign(new Error(record.text()), { message: "changed" }); }, // prettier-ignore
];

test("no line of any log carries a record's data or its partition key", async () => {
  const world = await World.of({ shards: 2, trimmedSequenceNumbers: "reject" });
  const written: Record<string, unknown>[] = [];
  const pinoLogger = fromPino(pino({ level: "trace" }, into(written)));
  const store = new MemoryStore();
  const put = (): Promise<unknown> => world.put("secret-key", "secret-data", "{secret-json");
  await put();
  // Trouble of every kind on the way, then a stop, a resume, a reshard, a trim, a failing handler.
  const faults = { operation: "GetRecords" } as const;
  world.kinesis.faults.fail({ ...faults, error: "InternalFailure" });
  world.kinesis.faults.fail({ ...faults, call: 2, error: "ExpiredIteratorException" });
  const first = await world.start({ store, start: "TRIM_HORIZON" }, () => SkipCheckpoint);
  await world.clock.advance(1000);
  await first.stop();
  const second = await world.start({ store, logger: pinoLogger, start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  await world.split(SHARD);
  await put();
  await world.clock.advance(1000);
  await second.stop();
  await put();
  await world.clock.advance(25 * 3_600_000);
  await put();
  const stuck = gate();
  const third = await world.start({ store, drainTimeoutMs: 100 }, () => stuck.opened);
  await third.stop();
  const json = await world.start({ store }, (record) => record.json());
  await world.clock.advance(1000);
  for (const fail of QUOTING) {
    await world.start({ store, logger: pinoLogger }, fail);
    await world.clock.advance(1000);
    await world.start({ store }, fail);
    await world.clock.advance(1000);
  }
  const looped = async (): Promise<void> => {
    const consumer = world.consumer({ store, logger: pinoLogger });
    for await (const record of consumer.records()) record.json();
  };
  const loop = looped().catch(() => {});
  await world.clock.advance(1000);
  await loop;

  expect(json.error).toMatchObject({
    code: "HANDLER_FAILED",
    message: expect.stringMatching(/SyntaxError$/),
    cause: expect.objectContaining({ message: expect.stringMatching(/is not JSON/) }),
  });
  const logged = inspect([world.logger.lines, written], { depth: Infinity, showHidden: true });
  expect(world.logger.lines.length).toBeGreaterThan(8);
  expect(written.length).toBeGreaterThan(4);
  expect(logged).not.toContain("secret");
});

const BROKEN = [
  ["throws", () => { throw new Error("the sink is broken"); }], // prettier-ignore
  ["rejects", async () => { throw new Error("the sink is broken"); }], // prettier-ignore
] as const;

test.each(BROKEN)(
  "a counter that %s does not stop the scan, and is reported once",
  async (_how, fail) => {
    const world = await World.of();
    const counter: Counter = { add: fail, set: fail, record: fail, remove: fail };
    const run = await world.start({ counter, start: "TRIM_HORIZON" });
    await world.put("a", "1", "2");
    await world.clock.advance(3000);
    await run.stop();

    expect(run.error).toBeUndefined();
    expect(run.texts).toEqual(["1", "2"]);
    expect(world.logger.find("warn", /the counter throws/)).toHaveLength(1);
  },
);

test.each(BROKEN)("a logger that %s does not stop the scan, and is counted", async (_how, fail) => {
  const world = await World.of();
  const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail };
  const run = await world.start({ logger, start: "TRIM_HORIZON" });
  await world.put("a", "1", "2");
  await world.clock.advance(3000);
  await run.stop();

  expect(run.error).toBeUndefined();
  expect(run.texts).toEqual(["1", "2"]);
  expect(world.counter.total("errors", { error: "LOGGER_FAILED" })).toBeGreaterThan(0);
});

test("a counter and a logger that both throw do not chase each other", async () => {
  const world = await World.of();
  const fail = (): never => {
    throw new Error("no");
  };
  const run = await world.start({
    counter: { add: fail, set: fail, record: fail, remove: fail },
    logger: { debug: fail, info: fail, warn: fail, error: fail },
  });
  await world.clock.advance(1000);
  await run.stop();

  expect(run.error).toBeUndefined();
});

test("one shard's failing calls are logged with the shard: quietly, then aloud, once, and their end", async () => {
  const world = await World.of({ shards: 2 });
  const logger = new MemoryLogger();
  const operation = "GetRecords";
  const where = isFor(SHARD);
  world.kinesis.faults.fail({ operation, where, times: 4, error: "InternalFailure" });
  const run = await world.start({ logger });
  await world.clock.advance(10_000);
  await run.stop();

  const lines = logger.lines.filter(({ fields }) => fields["operation"] === operation);
  expect(lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    "debug: a call failed; it is tried again",
    "warn: a call keeps failing; it is tried again until it is answered",
    "info: a call is answered again",
  ]);
  for (const { fields } of lines) expect(fields).toMatchObject({ shardId: SHARD });
  expect(lines[2]!.fields).toMatchObject({ failures: 4 });
});

/** Where pino writes to: its lines, parsed. */
function into(written: Record<string, unknown>[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
}
