import type { Counter } from "@kc/core";
import type { CounterHarness, HistogramReading } from "../../src/index.ts";

type Attributes = Readonly<Record<string, string>>;

/** Where counters put their values: what a registry or an agent is to a real adapter. */
export class ReferenceRegistry {
  readonly series: Map<string, number> = new Map();
  readonly histograms: Map<string, ReferenceHistogram> = new Map();
}

export interface ReferenceHistogram {
  count: number;
  sum: number;
  readonly values: number[];
}

/** A counter that keeps every promise, in small steps: each mutant breaks one of them. */
export class ReferenceCounter implements Counter {
  readonly registry: ReferenceRegistry;

  constructor(registry: ReferenceRegistry) {
    this.registry = registry;
  }

  add(name: string, value: number, attributes: Attributes): void {
    const key = this.key(name, attributes);
    this.registry.series.set(key, (this.registry.series.get(key) ?? 0) + value);
  }

  set(name: string, value: number, attributes: Attributes): void {
    this.registry.series.set(this.key(name, attributes), value);
  }

  record(name: string, value: number, attributes: Attributes): void {
    const key = this.key(name, attributes);
    const histogram = this.registry.histograms.get(key) ?? { count: 0, sum: 0, values: [] };
    histogram.count += 1;
    histogram.sum += value;
    histogram.values.push(value);
    this.registry.histograms.set(key, histogram);
  }

  remove(name: string, attributes: Attributes): void {
    this.registry.series.delete(this.key(name, attributes));
  }

  key(name: string, attributes: Attributes): string {
    return seriesKey(name, attributes);
  }
}

export type ReferenceCounterClass = new (registry: ReferenceRegistry) => ReferenceCounter;

export function counterHarness(
  Class: ReferenceCounterClass = ReferenceCounter,
  registry: ReferenceRegistry = new ReferenceRegistry(),
): CounterHarness {
  return {
    open: () => new Class(registry),
    read: async (name, attributes) => registry.series.get(seriesKey(name, attributes)),
    readHistogram: async (name, attributes) => {
      const histogram = registry.histograms.get(seriesKey(name, attributes));
      return histogram && readingOf(histogram);
    },
    async [Symbol.asyncDispose]() {
      registry.series.clear();
      registry.histograms.clear();
    },
  };
}

export function readingOf({ count, sum, values }: ReferenceHistogram): HistogramReading {
  return { count, sum, buckets: values.map((value) => ({ from: value, to: value, count: 1 })) };
}

export function seriesKey(name: string, attributes: Attributes): string {
  const sorted = Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([name, sorted]);
}
