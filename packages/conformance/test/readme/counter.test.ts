import { counterConformance, type CounterHarness } from "@kc/conformance";
import type { Counter } from "@kc/core";

type Attributes = Readonly<Record<string, string>>;

const seriesKey = (name: string, attributes: Attributes): string =>
  JSON.stringify([name, Object.entries(attributes).toSorted()]);

class MapCounter implements Counter {
  readonly #series: Map<string, number>;

  constructor(series: Map<string, number>) {
    this.#series = series;
  }

  add(name: string, value: number, attributes: Attributes): void {
    const key = seriesKey(name, attributes);
    this.#series.set(key, (this.#series.get(key) ?? 0) + value);
  }

  set(name: string, value: number | undefined, attributes: Attributes): void {
    if (value === undefined) this.#series.delete(seriesKey(name, attributes));
    else this.#series.set(seriesKey(name, attributes), value);
  }
}

async function makeHarness(): Promise<CounterHarness> {
  const series = new Map<string, number>();
  return {
    open: () => new MapCounter(series),
    read: async (name, attributes) => series.get(seriesKey(name, attributes)),
    async [Symbol.asyncDispose]() {
      series.clear();
    },
  };
}

counterConformance("MapCounter", makeHarness);
