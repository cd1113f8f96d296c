import type { MetricName } from "@kc/core";
import { type Distribution, DistributionBuilder } from "./distribution.ts";
import { cloudWatchDimensions } from "./names.ts";

/** One series' values of an interval. */
export interface Datum {
  readonly metric: MetricName;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly value: number | Distribution;
}

interface Series<Value> {
  readonly metric: MetricName;
  readonly dimensions: Readonly<Record<string, string>>;
  value: Value;
}

type Attributes = Readonly<Record<string, string>>;

/**
 * What has come since the last interval's end: counters as what was added, gauges as they stand,
 * histograms as their values. One value for each series, however many were reported.
 */
export class Aggregate {
  #sums = new Map<string, Series<number>>();
  #distributions = new Map<string, Series<DistributionBuilder>>();
  readonly #gauges = new Map<string, Series<number>>();

  add(metric: MetricName, value: number, attributes: Attributes): void {
    seriesOf(this.#sums, metric, attributes, () => 0).value += value;
  }

  set(metric: MetricName, value: number, attributes: Attributes): void {
    seriesOf(this.#gauges, metric, attributes, () => 0).value = value;
  }

  record(metric: MetricName, value: number, attributes: Attributes): void {
    const make = (): DistributionBuilder => new DistributionBuilder();
    seriesOf(this.#distributions, metric, attributes, make).value.record(value);
  }

  /** A gauge is not reported any more. What a counter has counted still is: it is part of the interval's sum. */
  remove(metric: MetricName, attributes: Attributes): void {
    this.#gauges.delete(`${metric} ${known(attributes).key}`);
  }

  /** The interval is over. The result must be read at once: gauges continue in the next interval. */
  take(): readonly Datum[] {
    const [sums, distributions] = [this.#sums, this.#distributions];
    this.#sums = new Map();
    this.#distributions = new Map();
    const built = [...distributions.values()].map((one) => ({
      ...one,
      value: one.value.build(),
    }));
    return [...sums.values(), ...this.#gauges.values(), ...built];
  }
}

function seriesOf<Value>(
  all: Map<string, Series<Value>>,
  metric: MetricName,
  attributes: Attributes,
  make: () => Value,
): Series<Value> {
  const { dimensions, key: own } = known(attributes);
  const key = `${metric} ${own}`;
  let series = all.get(key);
  if (series === undefined) all.set(key, (series = { metric, dimensions, value: make() }));
  return series;
}

interface Known {
  readonly dimensions: Readonly<Record<string, string>>;
  /** The same for the same dimensions, in whatever order they come. */
  readonly key: string;
}

/** Core hands over the same object for the same series. */
const seen = new WeakMap<Attributes, Known>();

/** By what CloudWatch will see: what it takes for the same series must be one. */
function known(attributes: Attributes): Known {
  let found = seen.get(attributes);
  if (found === undefined) {
    const dimensions = cloudWatchDimensions(attributes);
    const sorted = Object.entries(dimensions).toSorted(([a], [b]) => (a < b ? -1 : 1));
    seen.set(attributes, (found = { dimensions, key: JSON.stringify(sorted) }));
  }
  return found;
}
