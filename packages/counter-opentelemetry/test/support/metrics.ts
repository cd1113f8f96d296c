import type { MetricName } from "@kc/core";
import type { Attributes } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type ViewOptions,
} from "@opentelemetry/sdk-metrics";
import { openTelemetryAttributes, openTelemetryName } from "../../src/index.ts";

type Figures = Readonly<Record<string, string>>;

interface Shown {
  readonly name: string;
  readonly attributes: Attributes;
  readonly value: unknown;
}

/** A real SDK, asked for an export whenever its reader looks. */
export class TestMetrics implements AsyncDisposable {
  readonly provider: MeterProvider;
  readonly #temporality: AggregationTemporality;
  readonly #exporter: InMemoryMetricExporter;
  /** What deltas have come to. */
  readonly #totals = new Map<string, number>();

  constructor(temporality: AggregationTemporality, views: readonly ViewOptions[] = []) {
    this.#temporality = temporality;
    this.#exporter = new InMemoryMetricExporter(temporality);
    const reader = new PeriodicExportingMetricReader({
      exporter: this.#exporter,
      exportIntervalMillis: 2 ** 30,
    });
    this.provider = new MeterProvider({ readers: [reader], views: [...views] });
  }

  /** What one series has come to by the latest export; undefined = that has no such series. */
  async read(metric: MetricName, figures: Figures): Promise<unknown> {
    const { name, attributes: fixed } = openTelemetryName(metric);
    const wanted: Attributes = { ...openTelemetryAttributes(figures), ...fixed };
    const isWanted = (one: Shown): boolean =>
      one.name === name &&
      Object.keys(one.attributes).length === Object.keys(wanted).length &&
      Object.entries(wanted).every(([key, value]) => one.attributes[key] === value);
    return (await this.collect()).find(isWanted)?.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.provider.shutdown();
  }

  async collect(): Promise<readonly Shown[]> {
    this.#exporter.reset();
    await this.provider.forceFlush();
    const metrics = this.#exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    const shown = metrics.flatMap(({ descriptor: { name }, dataPoints, ...data }) =>
      dataPoints.map(({ attributes, value }) => {
        const isSum = "isMonotonic" in data;
        if (!isSum || this.#temporality === AggregationTemporality.CUMULATIVE) {
          return { name, attributes, value };
        }
        const key = JSON.stringify([name, attributes]);
        return { name, attributes, value: (this.#totals.get(key) ?? 0) + (value as number), key };
      }),
    );
    // A series that an export leaves out is over: it begins at 0 again.
    this.#totals.clear();
    for (const { key, value } of shown as readonly { key?: string; value: unknown }[]) {
      if (key !== undefined) this.#totals.set(key, value as number);
    }
    return shown;
  }
}
