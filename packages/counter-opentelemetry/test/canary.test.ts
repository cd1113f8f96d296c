import { inspect } from "node:util";
import { diag, DiagLogLevel } from "@opentelemetry/api";
import { AggregationTemporality } from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { expect, onTestFinished, test, vi } from "vitest";
import { ENCODED_CANARIES, scanWithCanaries } from "../../core/test/support/canary.ts";
import { OpenTelemetryCounter, OpenTelemetryTracing } from "../src/index.ts";
import { TestMetrics } from "./support/metrics.ts";

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

  await scanWithCanaries(new OpenTelemetryCounter({ meterProvider: metrics.provider }));

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
  expect(told).toContain("TimeoutError");
  for (const canary of ENCODED_CANARIES) expect(told).not.toContain(canary);
});
