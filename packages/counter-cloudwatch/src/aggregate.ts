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
/** Of each metric, by the key of their attributes. */
type AllSeries<Value> = Map<MetricName, Map<string, Series<Value>>>;

/**
 * What has come since the last interval's end: counters as what was added, gauges as they stand,
 * histograms as their values. One value for each series, however many were reported.
 */
export class Aggregate {
  #sums: AllSeries<number> = new Map();
  #distributions: AllSeries<DistributionBuilder> = new Map();
  readonly #gauges: AllSeries<number> = new Map();

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
    this.#gauges.get(metric)?.delete(known(attributes).key);
  }

  /** The interval is over. The result must be read at once: gauges continue in the next interval. */
  take(): readonly Datum[] {
    const [sums, distributions] = [this.#sums, this.#distributions];
    this.#sums = new Map();
    this.#distributions = new Map();
    const built = listOf(distributions).map((one) => ({ ...one, value: one.value.build() }));
    return [...listOf(sums), ...listOf(this.#gauges), ...built];
  }
}

function seriesOf<Value>(
  all: AllSeries<Value>,
  metric: MetricName,
  attributes: Attributes,
  make: () => Value,
): Series<Value> {
  const { dimensions, key } = known(attributes);
  let ofMetric = all.get(metric);
  if (ofMetric === undefined) all.set(metric, (ofMetric = new Map<string, Series<Value>>()));
  let series = ofMetric.get(key);
  if (series === undefined) ofMetric.set(key, (series = { metric, dimensions, value: make() }));
  return series;
}

function listOf<Value>(all: AllSeries<Value>): readonly Series<Value>[] {
  return [...all.values()].flatMap((ofMetric) => [...ofMetric.values()]);
}

interface Known {
  readonly dimensions: Readonly<Record<string, string>>;
  /** The same for the same dimensions, in whatever order they come. */
  readonly key: string;
}

/** Core hands over the same object for all series with the same attributes. */
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
