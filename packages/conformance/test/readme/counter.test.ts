import { counterConformance, type CounterHarness, type HistogramReading } from "@kc/conformance";
import type { Counter } from "@kc/core";

type Attributes = Readonly<Record<string, string>>;

const seriesKey = (name: string, attributes: Attributes): string =>
  JSON.stringify([name, Object.entries(attributes).toSorted()]);

class Registry {
  readonly series = new Map<string, number>();
  readonly histograms = new Map<string, HistogramReading>();
}

class MapCounter implements Counter {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  add(name: string, value: number, attributes: Attributes): void {
    const { series } = this.#registry;
    const key = seriesKey(name, attributes);
    series.set(key, (series.get(key) ?? 0) + value);
  }

  set(name: string, value: number, attributes: Attributes): void {
    this.#registry.series.set(seriesKey(name, attributes), value);
  }

  record(name: string, value: number, attributes: Attributes): void {
    const { histograms } = this.#registry;
    const key = seriesKey(name, attributes);
    const { count, sum } = histograms.get(key) ?? { count: 0, sum: 0 };
    histograms.set(key, { count: count + 1, sum: sum + value });
  }

  remove(name: string, attributes: Attributes): void {
    this.#registry.series.delete(seriesKey(name, attributes));
  }
}

async function makeHarness(): Promise<CounterHarness> {
  const registry = new Registry();
  const { series, histograms } = registry;
  return {
    open: () => new MapCounter(registry),
    read: async (name, attributes) => series.get(seriesKey(name, attributes)),
    readHistogram: async (name, attributes) => histograms.get(seriesKey(name, attributes)),
    async [Symbol.asyncDispose]() {
      series.clear();
      histograms.clear();
    },
  };
}

counterConformance("MapCounter", makeHarness);
