import { expect, test } from "vitest";
import {
  Consumer,
  LeaseGroup,
  MemoryStore,
  type ConsumerOptions,
  type HealthThresholds,
  type LeaseGroupOptions,
  type ScanOptions,
} from "../src/index.ts";
import { STREAM, World } from "./support/world.ts";

const BAD_SCAN_OPTIONS: readonly (readonly [what: string, option: string, options: unknown])[] = [
  ["a signal in place of the options", "signal", new AbortController().signal],
  ["a controller in place of its signal", "signal", { signal: new AbortController() }],
  ["a signal of null", "signal", { signal: null }],
  ["options of null", "options", null],
  ["a text", "options", "now"],
  ["a typo", "sginal", { sginal: new AbortController().signal }],
];

test.each(BAD_SCAN_OPTIONS)(
  "%s is refused by every method, by the name %s",
  async (_what, option, bad) => {
    const world = await World.of();
    const consumer = world.consumer();
    const options = bad as ScanOptions;
    const refused = { code: "CONFIG_INVALID", option };
    const scans = [
      consumer.scan(() => {}, options),
      consumer.scanShard("shardId-0", () => {}, options),
    ];
    // One that is not refused runs on, and is not waited for.
    for (const scan of scans) {
      await expect(Promise.race([scan, world.clock.settle()])).rejects.toMatchObject(refused);
    }
    expect(() => consumer.records(options)).toThrow(expect.objectContaining(refused));
    expect(() => consumer.events(options)).toThrow(expect.objectContaining(refused));
    expect(world.kinesis.calls).toEqual([]);
  },
);

test.each([
  ["stuckAfterMs", { stuckAfterMs: Number.NaN }],
  ["laggingAfterMs", { laggingAfterMs: "1000" }],
  ["stuckAfter", { stuckAfter: 1000 }],
  ["thresholds", null],
])("a threshold that is none is refused, by the name %s", async (option, thresholds) => {
  const world = await World.of();
  const consumer = world.consumer();
  expect(() => consumer.health(thresholds as HealthThresholds)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});

test.each([
  ["scanInterval", "scanIntervalMs"],
  ["streamName", "stream"],
  ["batchSize", "maxRecords"],
  ["region", "client"],
  ["onShardClose", "onShardClosed"],
])("an option called %s: did you mean %s?", (name, meant) => {
  const options = { stream: STREAM, [name]: 1 } as unknown as ConsumerOptions;
  expect(() => new Consumer(options)).toThrow(
    expect.objectContaining({
      option: name,
      message: expect.stringContaining(`did you mean ${meant}`),
    }),
  );
});

test("nothing is suggested for what is like no option", () => {
  const options = { stream: STREAM, colour: "red" } as unknown as ConsumerOptions;
  expect(() => new Consumer(options)).toThrow(
    /^colour: Consumer has no such option; its options are stream, application/,
  );
});

test("the options of a group are checked as those of a consumer are", () => {
  const refusal =
    (options: unknown): (() => unknown) =>
    () =>
      new LeaseGroup(options as LeaseGroupOptions);
  expect(refusal(null)).toThrow(expect.objectContaining({ option: "options" }));
  expect(refusal({ lease: 1000 })).toThrow(/did you mean leaseMs\?/);
});

test.each([Number.NaN, -1, 0.5, Infinity, "4096", null])(
  "a store whose maxAheadBytes is %j is refused",
  (maxAheadBytes) => {
    const store = new MemoryStore();
    Object.assign(store, { capabilities: { ...store.capabilities, maxAheadBytes } });
    const options = { stream: STREAM, application: "billing", store };
    expect(() => new Consumer(options)).toThrow(
      expect.objectContaining({
        option: "store",
        message: expect.stringContaining("maxAheadBytes") as string,
      }),
    );
  },
);

test.each([Number.NaN, -1, Infinity])(
  "a store whose interval is %d is refused",
  (flushIntervalMs) => {
    const store = new MemoryStore();
    Object.assign(store, { capabilities: { ...store.capabilities, flushIntervalMs } });
    const options = { stream: STREAM, application: "billing", store };
    expect(() => new Consumer(options)).toThrow(expect.objectContaining({ option: "store" }));
  },
);

test("a counter that can add and nothing else is counted with", async () => {
  const world = await World.of();
  const added = new Map<string, number>();
  const counter = {
    add: (name: string, value: number): void =>
      void added.set(name, (added.get(name) ?? 0) + value),
  };
  await world.put("a", "1", "2");
  const run = await world.start({ counter, start: "TRIM_HORIZON" });
  await world.clock.advance(3000);
  await run.stop();

  expect(run.error).toBeUndefined();
  expect(added.get("records")).toBe(2);
  expect(consumerDropped(run.consumer)).toBe(0);
});

function consumerDropped(consumer: Consumer): number {
  return consumer.status().droppedMetrics;
}
