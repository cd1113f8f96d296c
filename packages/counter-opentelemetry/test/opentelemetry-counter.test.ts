import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer, METRICS, type MetricName } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { diag, metrics } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import * as semconv from "@opentelemetry/semantic-conventions/incubating";
import { expect, onTestFinished, test } from "vitest";
import {
  OpenTelemetryCounter,
  openTelemetryAttributes,
  openTelemetryName,
  type OpenTelemetryCounterOptions,
} from "../src/index.ts";
import { TestMetrics } from "./support/metrics.ts";
import { startOtlp } from "./support/otlp.ts";

const WHERE = { stream: "orders", application: "billing" };
const SHARD = { ...WHERE, shardId: "shardId-000000000000" };

interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: readonly Point[] };
  readonly gauge?: { readonly dataPoints: readonly Point[] };
  readonly histogram?: { readonly dataPoints: readonly Point[] };
}

interface Point {
  readonly attributes: readonly { key: string; value: { stringValue: string } }[];
  readonly asDouble?: number;
  readonly asInt?: number;
  readonly count?: number;
}

test("a consumer's metrics arrive at an OTLP receiver, named by the semantic conventions", async () => {
  await using receiver = await startOtlp();
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: `${receiver.url}/v1/metrics` }),
    exportIntervalMillis: 2 ** 30,
  });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  const Data = Buffer.from("three");
  await kinesis.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
  const stop = new AbortController();
  const counter = new OpenTelemetryCounter({ meterProvider });
  const consumer = new Consumer({ ...WHERE, client: kinesis, counter, start: "TRIM_HORIZON" });
  await consumer.scan(() => stop.abort(), { signal: stop.signal });
  await meterProvider.shutdown();

  const [{ resourceMetrics }] = receiver.bodies as unknown as [
    { resourceMetrics: { scopeMetrics: { scope: { name: string }; metrics: Metric[] }[] }[] },
  ];
  const [{ scope, metrics: sent }] = resourceMetrics[0]!.scopeMetrics as [
    { scope: { name: string }; metrics: Metric[] },
  ];
  expect(scope.name).toBe("@kc/counter-opentelemetry");
  const metric = (name: string): Metric => sent.find((one) => one.name === name)!;
  const attributesOf = ({ attributes }: Point): object =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));

  const records = metric("messaging.client.consumed.messages");
  expect(records).toMatchObject({ unit: "{message}", sum: { isMonotonic: true } });
  expect(records.sum!.dataPoints[0]!.asDouble ?? records.sum!.dataPoints[0]!.asInt).toBe(1);
  expect(attributesOf(records.sum!.dataPoints[0]!)).toEqual({
    "messaging.system": "aws.kinesis",
    "messaging.operation.name": "GetRecords",
    "messaging.destination.name": "orders",
    "messaging.destination.partition.id": "shardId-000000000000",
    "messaging.consumer.group.name": "billing",
  });
  expect(metric("messaging.process.duration")).toMatchObject({ unit: "s" });
  const operations = metric("messaging.client.operation.duration").histogram!.dataPoints;
  expect(operations.map((point) => attributesOf(point))).toContainEqual(
    expect.objectContaining({ "messaging.operation.type": "receive" }),
  );
  expect(metric("kinesis.consumer.bytes")).toMatchObject({ unit: "By" });
});

test("names and attributes that the semantic conventions have are theirs, letter by letter", () => {
  const known = new Set<unknown>(Object.values(semconv));
  const names = (Object.keys(METRICS) as MetricName[]).map((metric) => openTelemetryName(metric));
  const standard = names.filter(({ name }) => name.startsWith("messaging."));
  expect(new Set(standard.map(({ name }) => name)).size).toBe(3);
  const used = [
    ...standard.flatMap(({ name, attributes }) => [name, ...Object.keys(attributes)]),
    ...Object.keys(
      openTelemetryAttributes({ ...SHARD, operation: "GetRecords", error: "TimeoutError" }),
    ),
  ];
  for (const name of used) expect(known, name).toContain(name);
  for (const { name } of names) {
    if (!name.startsWith("messaging.")) expect(name).toMatch(/^kinesis\.consumer\.[a-z_]+$/);
  }
});

test("a gauge that ended is reported once more, as 0: an SDK that repeats it repeats no lag", async () => {
  await using shown = new TestMetrics(AggregationTemporality.CUMULATIVE);
  const counter = new OpenTelemetryCounter({ meterProvider: shown.provider });
  counter.set("lag", 9000, SHARD);
  expect(await shown.read("lag", SHARD)).toBe(9);
  counter.remove("lag", SHARD);
  expect(await shown.read("lag", SHARD)).toBe(0);
  counter.set("lag", 1000, SHARD);
  expect(await shown.read("lag", SHARD)).toBe(1);
  // Over, and begun again before anybody looked.
  counter.remove("lag", SHARD);
  counter.set("lag", 2000, SHARD);
  expect(await shown.read("lag", SHARD)).toBe(2);
  counter.set("lag", 3000, SHARD);
  expect(await shown.read("lag", SHARD)).toBe(3);
});

test("with delta temporality, a gauge that begins again before it was collected continues", async () => {
  await using shown = new TestMetrics(AggregationTemporality.DELTA);
  const counter = new OpenTelemetryCounter({ meterProvider: shown.provider });
  counter.set("lag", 9000, SHARD);
  await shown.collect();
  counter.remove("lag", SHARD);
  counter.set("lag", 2000, SHARD);
  await shown.collect();
  expect(await shown.read("lag", SHARD)).toBe(2);
});

test("with delta temporality, a counter that is over and begins again loses nothing", async () => {
  await using shown = new TestMetrics(AggregationTemporality.DELTA);
  const counter = new OpenTelemetryCounter({ meterProvider: shown.provider });
  const totals: unknown[] = [];
  const collect = async (): Promise<void> => void totals.push(await shown.read("records", SHARD));
  counter.add("records", 7, SHARD);
  await collect();
  counter.remove("records", SHARD);
  await collect();
  await collect();
  counter.add("records", 10, SHARD);
  await collect();
  // Over, and begun again before anybody looked.
  counter.remove("records", SHARD);
  counter.add("records", 12, SHARD);
  await collect();
  expect(totals).toEqual([7, 7, undefined, 10, 22]);
});

test("the largest lag is shown however many shards there have been, and 0 once none is read", async () => {
  const warned: string[] = [];
  const warn = (text: string): void => void warned.push(text);
  const ignore = (): void => {};
  diag.setLogger({ error: ignore, warn, info: ignore, debug: ignore, verbose: ignore });
  onTestFinished(() => diag.disable());
  await using shown = new TestMetrics(AggregationTemporality.CUMULATIVE);
  const counter = new OpenTelemetryCounter({ meterProvider: shown.provider });
  const shard = (n: number) => ({ ...WHERE, shardId: `shardId-${n}` });
  const largest = async (): Promise<unknown> =>
    (await shown.collect()).find(({ name }) => name === "kinesis.consumer.lag.max");
  // A hundred at a time, as reshards bring them.
  for (let first = 0; first < 2500; first += 100) {
    const shards = Array.from({ length: 100 }, (_, n) => shard(first + n));
    for (const each of shards) counter.set("lag", first === 2400 ? 3_600_000 : 1000, each);
    await shown.collect();
    if (first < 2400) for (const each of shards) counter.remove("lag", each);
  }
  counter.set("lag", 1000, { ...WHERE, application: "audit", shardId: "shardId-1" });
  expect(await shown.read("lag", shard(2499)), "the SDK's limit").toBeUndefined();
  expect(await largest()).toEqual({
    name: "kinesis.consumer.lag.max",
    attributes: {
      "messaging.system": "aws.kinesis",
      "messaging.destination.name": "orders",
      "messaging.consumer.group.name": "billing",
    },
    value: 3600,
  });
  expect(warned).toEqual([expect.stringMatching(/kinesis\.consumer\.lag has had 1600 series/)]);
  for (let n = 2400; n < 2500; n += 1) counter.remove("lag", shard(n));
  expect(await largest()).toMatchObject({ value: 0 });
});

test("without a meter provider, the counter uses the global one at the first value", async () => {
  const counter = new OpenTelemetryCounter();
  await using shown = new TestMetrics(AggregationTemporality.CUMULATIVE);
  metrics.setGlobalMeterProvider(shown.provider);
  onTestFinished(() => metrics.disable());
  counter.add("records", 3, SHARD);
  expect(await shown.read("records", SHARD)).toBe(3);
});

test("an SDK that is set up while a consumer runs gets the totals and gauges from before", async () => {
  const counters = [new OpenTelemetryCounter(), new OpenTelemetryCounter()] as const;
  for (const counter of counters) counter.add("records", 3, SHARD);
  counters[0].set("lag", 9000, SHARD);
  counters[0].set("lag", 7000, { ...SHARD, shardId: "shardId-000000000001" });
  counters[0].remove("lag", { ...SHARD, shardId: "shardId-000000000001" });
  await using shown = new TestMetrics(AggregationTemporality.CUMULATIVE);
  metrics.setGlobalMeterProvider(shown.provider);
  onTestFinished(() => metrics.disable());
  counters[0].record("poll_duration", 1000, SHARD);
  expect(await shown.read("lag", SHARD)).toBe(9);
  expect(await shown.read("records", SHARD)).toBe(6);
  for (const counter of counters) counter.add("records", 1, SHARD);
  expect(await shown.read("records", SHARD)).toBe(8);
  expect(await shown.read("poll_duration", SHARD)).toMatchObject({ count: 1, sum: 1 });
  expect(
    (await shown.collect()).filter(({ name }) => name === "kinesis.consumer.lag"),
  ).toHaveLength(1);
});

test("without an SDK, metrics go nowhere, and nothing is thrown", () => {
  const counter = new OpenTelemetryCounter({ perShard: false });
  expect(counter.perShard).toBe(false);
  counter.add("records", 3, WHERE);
  counter.set("lag", 3, WHERE);
  counter.record("poll_duration", 3, WHERE);
  counter.remove("lag", WHERE);
});

test.each([
  [{ meterProvider: {} }, "meterProvider"],
  [{ perShard: 1 }, "perShard"],
  [{ meter: {} }, "meter"],
])("%o is refused by the name of its option", (options, option) => {
  expect(() => new OpenTelemetryCounter(options as unknown as OpenTelemetryCounterOptions)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});

test("durations and numbers of records have boundaries of their own", async () => {
  await using metricsOf = new TestMetrics(AggregationTemporality.CUMULATIVE);
  const counter = new OpenTelemetryCounter({ meterProvider: metricsOf.provider });
  counter.record("batch_size", 700, WHERE);
  counter.record("handler_duration", 700, WHERE);
  const boundaries = async (metric: MetricName): Promise<readonly number[]> => {
    const { buckets } = (await metricsOf.read(metric, WHERE)) as {
      buckets: { boundaries: number[] };
    };
    return buckets.boundaries;
  };
  expect((await boundaries("batch_size")).at(-1)).toBe(10_000);
  expect((await boundaries("handler_duration")).at(-1)).toBe(600);
});
