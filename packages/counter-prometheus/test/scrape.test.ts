import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CreateStreamCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer, LeaseGroup, MemoryStore, METRICS } from "@kc/core";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import { AggregatorRegistry, Counter, Gauge, type MetricObject, Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { PrometheusCounter, type PrometheusCounterOptions } from "../src/index.ts";

/** What a Prometheus server would read. */
async function scrape(registry: Registry): Promise<ReadonlyMap<string, number>> {
  const server = createServer((_, response) => {
    void registry.metrics().then((text) => response.end(text));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const [, series = "", value] = /^(.*) (\S+)$/.exec(line) ?? [];
      return [series, Number(value)];
    }),
  );
}

test("the processes of a cluster are folded: the largest lag, the sum of records", async () => {
  const worker = async (lag: number, records: number): Promise<MetricObject[]> => {
    const registry = new Registry();
    const counter = new PrometheusCounter({ registry, perShard: false });
    const where = { stream: "orders", application: "billing" };
    counter.set("lag", lag, where);
    counter.set("workers", 2, where);
    counter.set("leases_held", 3, where);
    counter.add("records", records, where);
    return registry.getMetricsAsJSON();
  };
  const both = [await worker(1000, 5), await worker(3000, 7)];
  const samples = await scrape(AggregatorRegistry.aggregate(both));
  const of = (name: string) => [...samples].find(([series]) => series.startsWith(`${name}{`))?.[1];
  expect(of("kinesis_lag_seconds")).toBe(3);
  expect(of("kinesis_workers")).toBe(2);
  expect(of("kinesis_leases_held")).toBe(6);
  expect(of("kinesis_records_total")).toBe(12);
});

test("two consumers' metrics are in one registry, as a scrape reads it", async () => {
  const registry = new Registry();
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  for (const text of ["1", "22", "333"]) {
    const Data = Buffer.from(text);
    await kinesis.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
  }
  for (const application of ["billing", "shipping"]) {
    const stop = new AbortController();
    let handled = 0;
    await new Consumer({
      stream: "orders",
      application,
      client: kinesis,
      counter: new PrometheusCounter({ registry }),
      start: "TRIM_HORIZON",
    }).scan(() => (handled += 1) === 3 && stop.abort(), { signal: stop.signal });
  }
  const samples = await scrape(registry);
  for (const application of ["billing", "shipping"]) {
    const labels = `{shard_id="shardId-000000000000",application="${application}",stream="orders"}`;
    const of = (name: string): number | undefined =>
      [...samples].find(
        ([series]) => series.startsWith(`${name}{`) && series.includes(`"${application}"`),
      )?.[1];
    expect(of("kinesis_records_total"), labels).toBe(3);
    expect(of("kinesis_bytes_total"), labels).toBe(6);
    expect(of("kinesis_batches_total"), labels).toBe(1);
    expect(of("kinesis_handler_duration_seconds_count"), labels).toBe(1);
  }
});

test("every metric is named before the first record", async () => {
  const registry = new Registry();
  const counter = new PrometheusCounter({ registry, prefix: "app_" });
  expect(registry.getMetricsAsArray().length).toBe(Object.keys(METRICS).length);
  const attributes = { shardId: "s", stream: "orders", application: "billing" };
  counter.set("lag", 1500, attributes);
  expect(
    [...(await scrape(registry)).entries()].find(([name]) => name.startsWith("app_lag")),
  ).toEqual([expect.stringContaining("app_lag_seconds{"), 1.5]);
  counter.remove("lag", attributes);
  expect([...(await scrape(registry)).keys()].filter((name) => name.startsWith("app_lag"))).toEqual(
    [],
  );
});

test.each([
  [{ prefix: "1st" }, "prefix"],
  [{ prefix: "a-b" }, "prefix"],
  [{ registry: {} as Registry }, "registry"],
  [{ registery: new Registry() }, "registery"],
  [{ perShard: "no" }, "perShard"],
  [{ buckets: [] }, "buckets"],
  [{ buckets: [1, 1] }, "buckets"],
  [{ buckets: [0, 1] }, "buckets"],
])("%o is refused by the name of its option", (options, option) => {
  expect(() => new PrometheusCounter(options as unknown as PrometheusCounterOptions)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});

test("a metric of another kind under one of the names is refused, and not written to", () => {
  const registry = new Registry();
  const gauge = new Gauge({ name: "kinesis_records_total", help: "-", registers: [registry] });
  expect(() => new PrometheusCounter({ registry })).toThrow(/kinesis_records_total/);
  expect(gauge).toBe(registry.getSingleMetric("kinesis_records_total"));
});

test("a metric with other labels under one of the names is refused, and not written to", () => {
  const registry = new Registry();
  const theirs = new Counter({
    name: "kinesis_records_total",
    help: "-",
    labelNames: ["a"],
    registers: [registry],
  });
  expect(() => new PrometheusCounter({ registry })).toThrow(/prefix: .*kinesis_records_total/);
  expect(registry.getSingleMetric("kinesis_records_total")).toBe(theirs);
});

test("a second counter's buckets are not ignored: others than the first one's are refused", () => {
  const registry = new Registry();
  expect(new PrometheusCounter({ registry, buckets: [0.1, 1] }).registry).toBe(registry);
  expect(() => new PrometheusCounter({ registry, buckets: [0.1, 1, 10] })).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option: "buckets" }),
  );
  for (const options of [{ registry, buckets: [0.1, 1] }, { registry }]) {
    expect(() => new PrometheusCounter(options)).not.toThrow();
  }
});

test("one of two workers in a process stops: the other's counters and gauges stay", async () => {
  const clock = new FakeClock();
  const registry = new Registry();
  const kinesis = new FakeKinesis({ clock, streams: { orders: 2 } });
  const put = (): Promise<unknown> =>
    Promise.all(
      ["a", "b", "c", "d"].map((PartitionKey) =>
        kinesis.send(
          new PutRecordCommand({ StreamName: "orders", PartitionKey, Data: Buffer.from("1") }),
        ),
      ),
    );
  const store = new MemoryStore();
  const worker = (workerId: string) => {
    const stop = new AbortController();
    const counter = new PrometheusCounter({ registry });
    const group = new LeaseGroup({ workerId });
    const consumer = new Consumer({
      stream: "orders",
      application: "billing",
      client: kinesis,
      counter,
      clock,
      store,
      group,
      start: "TRIM_HORIZON",
    });
    const scan = consumer.scan(() => {}, { signal: stop.signal });
    return { stop: () => stop.abort(), scan };
  };
  const workers = [worker("one"), worker("two")];
  await clock.advance(60_000);
  await put();
  await clock.advance(5000);
  const total = async (name: string): Promise<number> =>
    [...(await scrape(registry))]
      .filter(([series]) => series.startsWith(`${name}{`))
      .reduce((sum, [, value]) => sum + value, 0);
  expect(await total("kinesis_records_total")).toBe(4);
  expect(await total("kinesis_leases_held")).toBe(2);
  workers[0]!.stop();
  // Whatever ends later with the first one's shards.
  for (let minute = 0; minute < 10; minute += 1) await clock.advance(60_000);
  await put();
  await clock.advance(5000);
  expect(await total("kinesis_records_total")).toBe(8);
  expect(await total("kinesis_leases_held")).toBe(2);
  workers[1]!.stop();
  await clock.advance(60_000);
  await Promise.all(workers.map(({ scan }) => scan));
  expect(await total("kinesis_leases_held")).toBe(0);
});

test("a stream that is made meanwhile needs no other counter", async () => {
  const registry = new Registry();
  const kinesis = new FakeKinesis();
  await kinesis.send(new CreateStreamCommand({ StreamName: "late", ShardCount: 1 }));
  const first = new PrometheusCounter({ registry });
  const second = new PrometheusCounter({ registry });
  const attributes = { shardId: "s", stream: "late", application: "a" };
  first.add("records", 2, attributes);
  second.add("records", 3, attributes);
  expect([...(await scrape(registry)).values()]).toContain(5);
});

test("durations fall into buckets of seconds, the user's if they are given", async () => {
  const registry = new Registry();
  const counter = new PrometheusCounter({ registry, buckets: [0.1, 1] });
  const attributes = { stream: "orders", application: "billing" };
  for (const ms of [50, 500, 5000]) counter.record("handler_duration", ms, attributes);
  const samples = await scrape(registry);
  const count = (le: string): unknown =>
    [...samples].find(
      ([series]) =>
        series.startsWith("kinesis_handler_duration_seconds_bucket") &&
        series.includes(`le="${le}"`),
    )?.[1];
  expect(["0.1", "1", "+Inf"].map(count)).toEqual([1, 2, 3]);
});

test("numbers of records have buckets of their own, whatever the durations have", async () => {
  for (const buckets of [undefined, [0.1, 1]]) {
    const registry = new Registry();
    const counter = new PrometheusCounter({
      registry,
      ...(buckets === undefined ? {} : { buckets }),
    });
    counter.record("batch_size", 700, { stream: "orders", application: "billing" });
    const samples = await scrape(registry);
    const at = (bound: string): number | undefined =>
      [...samples].find(
        ([series]) =>
          series.startsWith("kinesis_batch_size_bucket{") && series.includes(`le="${bound}"`),
      )?.[1];
    expect([at("500"), at("1000"), at("+Inf")]).toEqual([0, 1, 1]);
  }
});

test("folded, a shard's metrics have no shard", async () => {
  const registry = new Registry();
  const kinesis = new FakeKinesis({ streams: { orders: 2 } });
  await kinesis.send(
    new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data: Buffer.from("1") }),
  );
  const stop = new AbortController();
  const counter = new PrometheusCounter({ registry, perShard: false });
  await new Consumer({ stream: "orders", client: kinesis, counter, start: "TRIM_HORIZON" }).scan(
    () => stop.abort(),
    { signal: stop.signal },
  );
  const samples = await scrape(registry);
  expect([...samples.keys()].filter((series) => series.includes("shard_id"))).toEqual([]);
  expect(samples.get('kinesis_records_total{stream="orders",application="default"}')).toBe(1);
});
