import { counterConformance, type CounterHarness } from "@kc/conformance";
import type { MetricName } from "@kc/core";
import { Registry } from "prom-client";
import { PrometheusCounter, prometheusName } from "../src/index.ts";
import { labelOf } from "../src/names.ts";

type Attributes = Readonly<Record<string, string>>;
/** Of a histogram too, which names the part that the value is of. */
type Value = { metricName?: string; labels: Record<string, unknown>; value: number };

const PREFIX = "kinesis_";

/** Values are recorded in milliseconds and shown in seconds. Digits that the division adds do not count. */
const inUnitOf = (metric: MetricName, value: number): number =>
  Math.round((value / prometheusName(metric, PREFIX).factor) * 1e6) / 1e6;

async function makeHarness(): Promise<CounterHarness> {
  const registry = new Registry();
  /** A metric's values under exactly these labels, as they are shown. */
  const values = async (metric: MetricName, attributes: Attributes): Promise<Value[]> => {
    const { name } = prometheusName(metric, PREFIX);
    const { values: all = [] } = (await registry.getSingleMetric(name)?.get()) ?? {};
    const wanted = Object.entries(attributes).map(([key, value]) => [labelOf(key), value]);
    return (all as Value[]).filter(({ labels }) => {
      const count = Object.keys(labels).filter((label) => label !== "le").length;
      return count === wanted.length && wanted.every(([label, value]) => labels[label!] === value);
    });
  };
  return {
    open: () => new PrometheusCounter({ registry }),
    async read(metric, attributes) {
      const [shown] = await values(metric, attributes);
      return shown && inUnitOf(metric, shown.value);
    },
    async readHistogram(metric, attributes) {
      const shown = await values(metric, attributes);
      const { name } = prometheusName(metric, PREFIX);
      const part = (suffix: string): number | undefined =>
        shown.find(({ metricName }) => metricName === `${name}_${suffix}`)?.value;
      const [count, sum] = [part("count"), part("sum")];
      if (!count || sum === undefined) return undefined;
      // Each has the values of those before it too.
      const cumulative = shown.filter(({ metricName }) => metricName === `${name}_bucket`);
      const buckets = cumulative.map(({ labels, value }, i) => ({
        from: i === 0 ? 0 : inUnitOf(metric, Number(cumulative[i - 1]!.labels["le"])),
        to: labels["le"] === "+Inf" ? Infinity : inUnitOf(metric, Number(labels["le"])),
        count: value - (cumulative[i - 1]?.value ?? 0),
      }));
      return { count, sum: inUnitOf(metric, sum), buckets };
    },
    async [Symbol.asyncDispose]() {
      registry.clear();
    },
  };
}

counterConformance("PrometheusCounter", makeHarness);
