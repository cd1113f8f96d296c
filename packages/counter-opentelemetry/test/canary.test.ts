import { inspect } from "node:util";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer, MemoryStore, StoreError } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { AggregationTemporality } from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { expect, onTestFinished, test, vi } from "vitest";
import { OpenTelemetryCounter, OpenTelemetryTracing } from "../src/index.ts";
import { TestMetrics } from "./support/metrics.ts";

/** In every record's data and partition key, and in the error of the store's driver. */
const CANARY = "canary-71c4";

/** A store whose driver keeps the command, and so its credentials, on its errors, as some do. */
class LeakingStore extends MemoryStore {
  override setCheckpoints(): never {
    const cause = Object.assign(new Error("NOAUTH"), { command: { args: [CANARY] } });
    throw new StoreError("STORE_UNAVAILABLE", "no answer", { retryable: true, cause });
  }
}

test("no data, partition key or credential is in a span, a metric or what the SDK's log prints", async () => {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const tracing = new OpenTelemetryTracing({ tracerProvider });
  onTestFinished(() => tracing[Symbol.dispose]());
  await using metrics = new TestMetrics(AggregationTemporality.CUMULATIVE);
  const logged: unknown[] = [];
  const log = (...texts: unknown[]): void => void logged.push(texts);
  diag.setLogger(
    { error: log, warn: log, info: log, debug: log, verbose: log },
    { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true },
  );
  onTestFinished(() => diag.disable());
  for (const method of ["log", "warn", "error"] as const) {
    vi.spyOn(console, method).mockImplementation(log);
  }
  onTestFinished(() => void vi.restoreAllMocks());

  const client = new FakeKinesis({ streams: { orders: 1 } });
  for (const card of ["first", "second"]) {
    const Data = Buffer.from(`{"${card}":"${CANARY}"`);
    await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: CANARY, Data }));
  }
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    client,
    store: new LeakingStore(),
    counter: new OpenTelemetryCounter({ meterProvider: metrics.provider }),
    start: "TRIM_HORIZON",
    drainTimeoutMs: 100,
  });
  let handled = 0;
  const scan = consumer.scan(async ({ data }) => {
    if ((handled += 1) === 1) return;
    const text = Buffer.from(data).toString();
    throw new Error(`no card: ${text}`, { cause: new TypeError(text) });
  });
  await expect(scan).rejects.toMatchObject({ code: "HANDLER_FAILED" });

  const spans = exporter.getFinishedSpans().map(({ name, attributes, events, status, links }) => ({
    name,
    attributes,
    events,
    status,
    links,
  }));
  const points = await metrics.collect();
  expect(spans.map(({ name }) => name)).toContain("process orders");
  expect(points.length).toBeGreaterThan(0);
  const told = inspect([spans, points, logged], { depth: Infinity, maxStringLength: Infinity });
  expect(told).not.toContain(CANARY);
});
