import type { MetricName } from "@kc/core";
import { type Distribution, DistributionBuilder } from "./distribution.ts";
import { cloudWatchDimensions } from "./names.ts";

/** The value of one series in an interval. */
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
/** The series of each metric, by the key of their dimensions. */
type AllSeries<Value> = Map<MetricName, Map<string, Series<Value>>>;

/**
 * The metrics of the current interval: the sums of counters, the latest values of gauges, the distributions of
 * histograms. It has one value for each series, however often the series was reported.
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

  /** Stops reporting a gauge. The sum of a counter is still reported, because it is part of the interval. */
  remove(metric: MetricName, attributes: Attributes): void {
    this.#gauges.get(metric)?.delete(known(attributes).key);
  }

  /** Ends the interval and returns its values. They must be read synchronously: gauges change in the next interval. */
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
  /** Equal for equal dimensions, in any order. */
  readonly key: string;
}

/** A cache by object: core passes the same object for all series with the same attributes. */
const seen = new WeakMap<Attributes, Known>();

/** The key is built from the dimensions as CloudWatch sees them, so that two series of ours never become one there. */
function known(attributes: Attributes): Known {
  let found = seen.get(attributes);
  if (found === undefined) {
    const dimensions = cloudWatchDimensions(attributes);
    const sorted = Object.entries(dimensions).toSorted(([a], [b]) => (a < b ? -1 : 1));
    seen.set(attributes, (found = { dimensions, key: JSON.stringify(sorted) }));
  }
  return found;
}
