import { createSocket } from "node:dgram";
import { once } from "node:events";
import { tracingChannel } from "node:diagnostics_channel";
import { Writable } from "node:stream";
import { CHANNELS, type Counter } from "@kc/core";
import { CloudWatchCounter } from "@kc/counter-cloudwatch";
import { OpenTelemetryCounter } from "@kc/counter-opentelemetry";
import { PrometheusCounter } from "@kc/counter-prometheus";
import { StatsdCounter } from "@kc/counter-statsd";
import {
  InMemoryMetricExporter,
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { Registry } from "prom-client";
import { consumer, decodedPages } from "./read/contestants.ts";
import { compare, median, type Contestant } from "./rounds.ts";

const ROUNDS = 3;
/**
 * Full pages, as a consumer reads when it catches up; many small pages; and shards with a single
 * record, for the cost of a shard's beginning and end.
 */
const PAGES = {
  "pages of 2000 records": { shards: 48, pages: 7, records: 2000, bytes: 1024 },
  "pages of 20 records": { shards: 48, pages: 151, records: 20, bytes: 1024 },
  "shards of one record": { shards: 500, pages: 1, records: 1, bytes: 1024 },
} as const;
const GAUGES = { shards: 1000, seconds: 20 } as const;

/**
 * The cost of metrics: CPU per record from a decoded page to a handler that does nothing, without a
 * counter, with each counter, and with a listener to each record.
 */
export async function benchCounters(): Promise<object> {
  const { counters, close } = await makeCounters();
  const measures: Record<string, unknown> = {};
  for (const [name, pages] of Object.entries(PAGES)) {
    console.error(name);
    const total = pages.shards * pages.pages * pages.records;
    const client = decodedPages(pages);
    // A shard reports all its counters at its beginning, so the first pages are not measured.
    const after = pages.pages === 1 ? 0 : pages.shards * pages.records;
    const options = { after, virtual: true };
    const contestants: Record<string, Contestant> = { none: consumer(client, total, options) };
    for (const [adapter, counter] of Object.entries(counters)) {
      contestants[adapter] = consumer(client, total, { ...options, counter });
    }
    contestants["listener"] = listening(consumer(client, total, options));
    const comparison = await compare(contestants, ROUNDS);
    const { none, ...others } = comparison.cpuMicrosPerRecord;
    const more = Object.entries(others).map(([each, micros]) => [
      each,
      Number(((micros - none!) * pages.records).toFixed(1)),
    ]);
    measures[name] = { ...comparison, microsMorePerPage: Object.fromEntries(more) };
  }
  console.error("gauges, once a second");
  measures["microsPerShardAndSecond"] = gauges(counters);
  await close();
  return measures;
}

async function makeCounters(): Promise<{
  readonly counters: Readonly<Record<string, Counter>>;
  readonly close: () => Promise<void>;
}> {
  // A server that receives and does nothing.
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  await once(server, "listening");
  const statsd = new StatsdCounter({ port: server.address().port });
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
    exportIntervalMillis: 2 ** 30,
  });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const cloudwatch = new CloudWatchCounter({ output, perShard: true });
  return {
    counters: {
      prometheus: new PrometheusCounter({ registry: new Registry() }),
      opentelemetry: new OpenTelemetryCounter({ meterProvider }),
      statsd,
      cloudwatch,
    },
    close: async () => {
      await statsd[Symbol.asyncDispose]();
      await cloudwatch[Symbol.asyncDispose]();
      await meterProvider.shutdown();
      server.close();
    },
  };
}

/** Adds a listener to each record. */
function listening(contestant: Contestant): Contestant {
  let heard = 0;
  const hear = (): void => void (heard += 1);
  const subscribers = { start: hear, end: hear, asyncStart: hear, asyncEnd: hear, error: hear };
  return async (begin) => {
    const channel = tracingChannel(CHANNELS.handle);
    channel.subscribe(subscribers);
    try {
      return await contestant(begin);
    } finally {
      channel.unsubscribe(subscribers);
    }
  };
}

/** The three gauges of each shard, as they are reported once a second. */
function gauges(counters: Readonly<Record<string, Counter>>): Record<string, number> {
  const shards = Array.from({ length: GAUGES.shards }, (_, i) => ({
    shardId: `shardId-${String(i).padStart(12, "0")}`,
    stream: "bench",
    application: "default",
  }));
  const measure = (counter: Counter): number => {
    const before = process.cpuUsage();
    for (const attributes of shards) {
      counter.set?.("lag", 5, attributes);
      counter.set?.("checkpoint_age", 5, attributes);
      counter.set?.("records_in_flight", 5, attributes);
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / shards.length;
  };
  const reported: Record<string, number[]> = {};
  for (let second = 0; second < GAUGES.seconds; second += 1) {
    for (const [name, counter] of Object.entries(counters)) {
      (reported[name] ??= []).push(measure(counter));
    }
  }
  return Object.fromEntries(
    Object.entries(reported).map(([name, micros]) => [name, Number(median(micros).toFixed(2))]),
  );
}
