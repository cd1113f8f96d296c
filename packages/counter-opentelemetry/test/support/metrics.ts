import type { MetricName } from "@kc/core";
import type { Attributes } from "@opentelemetry/api";
import {
  AggregationTemporality,
  DataPointType,
  type Histogram,
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
  readonly #histograms = new Map<string, Shown & { readonly value: Histogram }>();

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
    const isCumulative = this.#temporality === AggregationTemporality.CUMULATIVE;
    const shown = metrics.flatMap(({ descriptor: { name }, dataPoints, ...data }) =>
      dataPoints.flatMap(({ attributes, value }) => {
        const isHistogram = data.dataPointType === DataPointType.HISTOGRAM;
        const isSum = "isMonotonic" in data;
        if (isCumulative || !(isSum || isHistogram)) return { name, attributes, value };
        const key = JSON.stringify([name, attributes]);
        if (isHistogram) {
          this.#addHistogram(key, { name, attributes, value: value as Histogram });
          return [];
        }
        return { name, attributes, value: (this.#totals.get(key) ?? 0) + (value as number), key };
      }),
    );
    // A series that an export leaves out is over: it begins at 0 again.
    this.#totals.clear();
    for (const { key, value } of shown as readonly { key?: string; value: unknown }[]) {
      if (key !== undefined) this.#totals.set(key, value as number);
    }
    return [...shown, ...this.#histograms.values()];
  }

  /** An export leaves out what nothing was recorded into since the last one. */
  #addHistogram(key: string, delta: Shown & { readonly value: Histogram }): void {
    const before = this.#histograms.get(key)?.value;
    const { value } = delta;
    const { boundaries, counts } = value.buckets;
    this.#histograms.set(key, {
      ...delta,
      value: {
        count: value.count + (before?.count ?? 0),
        sum: (value.sum ?? 0) + (before?.sum ?? 0),
        buckets: {
          boundaries,
          counts: counts.map((count, i) => count + (before?.buckets.counts[i] ?? 0)),
        },
      },
    });
  }
}
