import { counterConformance, type CounterHarness } from "@kc/conformance";
import { Registry } from "prom-client";
import { PrometheusCounter, prometheusName } from "../src/index.ts";
import { labelOf } from "../src/names.ts";

async function makeHarness(): Promise<CounterHarness> {
  const registry = new Registry();
  return {
    open: () => new PrometheusCounter({ registry }),
    async read(metric, attributes) {
      const { name, factor } = prometheusName(metric, "kinesis_");
      const { values = [] } = (await registry.getSingleMetric(name)?.get()) ?? {};
      const wanted = Object.entries(attributes).map(([key, value]) => [labelOf(key), value]);
      const series = values.find(({ labels }) =>
        wanted.every(([label, value]) => labels[label!] === value),
      );
      // Seconds are told, milliseconds were set: what a division leaves beyond them is no figure.
      return series && Math.round((series.value / factor) * 1e6) / 1e6;
    },
    async [Symbol.asyncDispose]() {
      registry.clear();
    },
  };
}

counterConformance("PrometheusCounter", makeHarness);
