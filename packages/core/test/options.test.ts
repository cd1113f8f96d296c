import { expect, test, vi } from "vitest";
import {
  AllGroup,
  ConfigError,
  Consumer,
  MemoryStore,
  type ConsumerOptions,
} from "../src/index.ts";
import { gapsOf, pollsOf } from "./support/calls.ts";
import { STREAM, World } from "./support/world.ts";

const BAD: readonly (readonly [why: string, option: string, options: Record<string, unknown>])[] = [
  ["an empty stream name", "stream", { stream: "" }],
  ["no stream", "stream", { stream: undefined }],
  ["a stream name with a slash", "stream", { stream: "a/b" }],
  ["another service's ARN", "stream", { stream: "arn:aws:sqs:us-east-1:000000000000:orders" }],
  ["an unknown option", "scanInterval", { scanInterval: 250 }],
  ["an unknown start", "start", { start: "EARLIEST" }],
  ["a start of null", "start", { start: null }],
  ["a start without a timestamp", "start", { start: {} }],
  ["a timestamp that is text", "start.timestamp", { start: { timestamp: "2026-01-01" } }],
  ["a timestamp that is no date", "start.timestamp", { start: { timestamp: new Date("no") } }],
  ["maxRecords of 0", "maxRecords", { maxRecords: 0 }],
  ["maxRecords above 10,000", "maxRecords", { maxRecords: 10_001 }],
  ["a fraction of a record", "maxRecords", { maxRecords: 1.5 }],
  ["maxRecords as text", "maxRecords", { maxRecords: "100" }],
  ["maxRecords of null", "maxRecords", { maxRecords: null }],
  ["a negative idleIntervalMs", "idleIntervalMs", { idleIntervalMs: -1 }],
  ["maxBufferedBytes below 16 MiB", "maxBufferedBytes", { maxBufferedBytes: 16 * 2 ** 20 - 1 }],
  ["a fraction of a byte", "maxBufferedBytes", { maxBufferedBytes: 2 ** 25 + 0.5 }],
  ["endless maxBufferedBytes", "maxBufferedBytes", { maxBufferedBytes: Infinity }],
  ["readShare of 0", "readShare", { readShare: 0 }],
  ["readShare above 1", "readShare", { readShare: 1.01 }],
  ["readShare as text", "readShare", { readShare: "1" }],
  ["a negative interval", "scanIntervalMs", { scanIntervalMs: -1 }],
  ["an interval of NaN", "scanIntervalMs", { scanIntervalMs: Number.NaN }],
  ["an interval without end", "scanIntervalMs", { scanIntervalMs: Infinity }],
  ["an interval that is a symbol", "scanIntervalMs", { scanIntervalMs: Symbol("250") }],
  ["a negative flush interval", "flushIntervalMs", { flushIntervalMs: -1 }],
  ["a drain of NaN", "drainTimeoutMs", { drainTimeoutMs: Number.NaN }],
  ["a limit of NaN for unflushed work", "maxUnflushedMs", { maxUnflushedMs: Number.NaN }],
  ["a discovery without a pause", "discoveryIntervalMs", { discoveryIntervalMs: 0 }],
  ["a switch that is no boolean", "immediateRescan", { immediateRescan: "yes" }],
  ["an empty application", "application", { application: "" }],
  ["an application with a NUL in it", "application", { application: "a\0b" }],
  ["an application with half a surrogate pair", "application", { application: "a\ud800" }],
  ["a store without an application", "application", { store: new MemoryStore() }],
  ["a store of null", "store", { store: null, application: "billing" }],
  ["a store that is none", "store", { store: {}, application: "billing" }],
  ["a store that declares nothing", "store", { store: undeclared(), application: "billing" }],
  ["a group of null", "group", { group: null }],
  ["a group that is none", "group", { group: {} }],
  ["a client that cannot send", "client", { client: {} }],
  ["a counter that cannot add", "counter", { counter: { set() {} } }],
  ["a logger without a level", "logger", { logger: { info() {} } }],
  ["a clock of null", "clock", { clock: null }],
  ["a source of chance that is a number", "random", { random: 0.5 }],
  ["a hook that is no function", "onShardClosed", { onShardClosed: true }],
];

test.each(BAD)("%s is refused in the constructor, by the name %s", (_why, option, options) => {
  const wrong = { stream: STREAM, ...options } as unknown as ConsumerOptions;
  expect(() => new Consumer(wrong)).toThrow(
    expect.objectContaining({ constructor: ConfigError, code: "CONFIG_INVALID", option }),
  );
});

test("a complaint about an option names it in its message", () => {
  expect(() => new Consumer({ stream: STREAM, maxRecords: 0 })).toThrow(/^maxRecords: .*10000/);
});

test("the bounds themselves are allowed", () => {
  const bounds: Partial<ConsumerOptions>[] = [
    { maxRecords: 1 },
    { maxBufferedBytes: 16 * 2 ** 20 },
    { readShare: 0.01 },
    { idleIntervalMs: 0 },
    { maxRecords: 10_000 },
    { scanIntervalMs: 0 },
    { flushIntervalMs: 0 },
    { drainTimeoutMs: 0 },
    { start: { timestamp: new Date(0) } },
    { stream: "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders" },
    { application: "a", store: new MemoryStore(), group: new AllGroup() },
  ];
  for (const options of bounds) {
    expect(() => new Consumer({ stream: STREAM, ...options })).not.toThrow();
  }
});

test("an interval of 0 does not spin: it polls within the shard's quota", async () => {
  const world = await World.of();
  const run = await world.start({ scanIntervalMs: 0 });
  await world.clock.advance(2000);
  await run.stop();

  expect(run.error).toBeUndefined();
  expect(gapsOf(pollsOf(world)).every((gap) => gap >= 200)).toBe(true);
});

test("a handler that is no function is refused", async () => {
  const world = await World.of();
  const consumer = world.consumer();
  const handler = undefined as unknown as () => void;
  await expect(consumer.scan(handler)).rejects.toMatchObject({ option: "handler" });
  await expect(consumer.scanShard("", () => {})).rejects.toMatchObject({ option: "shardId" });
});

test("the defaults are Go's: LATEST, 250 ms, 10,000 records, no immediate rescan, silence", async () => {
  const printed = (["debug", "info", "log", "warn", "error"] as const).map((level) =>
    vi.spyOn(console, level),
  );
  const world = await World.of({ maxRecordsPerPage: 1 });
  await world.put("a", "before the start");
  world.kinesis.resetCalls();
  const consumer = new Consumer({ stream: STREAM, client: world.kinesis, clock: world.clock });
  const stop = new AbortController();
  const seen: string[] = [];
  const scan = consumer.scan((record) => void seen.push(record.text()), { signal: stop.signal });
  await world.clock.settle();
  await world.put("a", "1", "2", "3");
  await world.clock.advance(900);
  stop.abort();
  await scan;

  expect(seen).toEqual(["1", "2", "3"]);
  expect(world.iteratorTypes()).toEqual(["LATEST"]);
  const [idle, ...busy] = gapsOf(pollsOf(world));
  expect(Math.abs(idle! - 250), "an idle shard's interval has jitter").toBeLessThanOrEqual(25);
  expect(busy).toEqual([250, 250]);
  const limits = world.kinesis.calls.filter(({ operation }) => operation === "GetRecords");
  expect(new Set(limits.map(({ input }) => input["Limit"]))).toEqual(new Set([10_000]));
  for (const spy of printed) expect(spy).not.toHaveBeenCalled();
});

function undeclared(): object {
  const none = async (): Promise<void> => {};
  return { openApplication: none, getCheckpoints: none, setCheckpoints: none };
}
