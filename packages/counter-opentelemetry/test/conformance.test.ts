import { counterConformance, type CounterHarness } from "@kc/conformance";
import type { MetricName } from "@kc/core";
import { AggregationTemporality, type Histogram } from "@opentelemetry/sdk-metrics";
import { OpenTelemetryCounter, openTelemetryName } from "../src/index.ts";
import { TestMetrics } from "./support/metrics.ts";

/** Values are recorded in milliseconds and shown in seconds. Digits that the division adds do not count. */
const inUnitOf = (metric: MetricName, value: number): number =>
  Math.round((value / openTelemetryName(metric).factor) * 1e6) / 1e6;

const bucketsOf = (metric: MetricName, { buckets: { boundaries, counts } }: Histogram) =>
  counts.map((count, i) => ({
    from: i === 0 ? 0 : inUnitOf(metric, boundaries[i - 1]!),
    to: i === boundaries.length ? Infinity : inUnitOf(metric, boundaries[i]!),
    count,
  }));

/** The README's, for many shards. */
const VIEWS = [{ meterName: "@kc/counter-opentelemetry", aggregationCardinalityLimit: 20_000 }];

const harnessOf = (temporality: AggregationTemporality) => async (): Promise<CounterHarness> => {
  const metrics = new TestMetrics(temporality, VIEWS);
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
      if (value === undefined) return undefined;
      const sum = inUnitOf(metric, value.sum ?? 0);
      return { count: value.count, sum, buckets: bucketsOf(metric, value) };
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
