import { counterConformance, type CounterHarness } from "@kc/conformance";
import type { MetricName } from "@kc/core";
import { AggregationTemporality, type Histogram } from "@opentelemetry/sdk-metrics";
import { OpenTelemetryCounter, openTelemetryName } from "../src/index.ts";
import { TestMetrics } from "./support/metrics.ts";

/** Seconds are shown, milliseconds were told: what a division leaves beyond them is no figure. */
const inUnitOf = (metric: MetricName, value: number): number =>
  Math.round((value / openTelemetryName(metric).factor) * 1e6) / 1e6;

/** The README's, for many shards. */
const VIEWS = [{ meterName: "@kc/counter-opentelemetry", aggregationCardinalityLimit: 20_000 }];

const harnessOf = (temporality: AggregationTemporality) => async (): Promise<CounterHarness> => {
  const metrics = new TestMetrics(temporality, VIEWS);
  const isDelta = temporality === AggregationTemporality.DELTA;
  /** What deltas have come to. */
  const histograms = new Map<string, { readonly count: number; readonly sum: number }>();
  return {
    open: () => new OpenTelemetryCounter({ meterProvider: metrics.provider }),
    async read(metric, attributes) {
      // A gauge that is over is exported once more, as 0.
      await metrics.collect();
      const value = await metrics.read(metric, attributes);
      return value === undefined ? undefined : inUnitOf(metric, value as number);
    },
    async readHistogram(metric, attributes) {
      const value = (await metrics.read(metric, attributes)) as Histogram | undefined;
      const key = JSON.stringify([metric, attributes]);
      if (value === undefined) return histograms.get(key);
      const { count, sum } = (isDelta && histograms.get(key)) || { count: 0, sum: 0 };
      const total = { count: count + value.count, sum: sum + inUnitOf(metric, value.sum ?? 0) };
      histograms.set(key, total);
      return total;
    },
    [Symbol.asyncDispose]: () => metrics[Symbol.asyncDispose](),
  };
};

counterConformance("OpenTelemetryCounter, delta", harnessOf(AggregationTemporality.DELTA));

const reason =
  "with cumulative temporality this SDK repeats what is no longer observed, against its specification";

counterConformance(
  "OpenTelemetryCounter, cumulative",
  harnessOf(AggregationTemporality.CUMULATIVE),
  {
    knownGaps: {
      "remove.gauge": reason,
      "remove.counter": reason,
      "remove.handles": reason,
    },
  },
);
