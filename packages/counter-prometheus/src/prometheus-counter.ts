import {
  ConfigError,
  METRICS,
  type Counter as KcCounter,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type MetricAttributes,
  type MetricDefinition,
  type MetricName,
} from "@kc/core";
import { checkBoolean, checkMethods, checkOptionNames } from "@kc/core/adapter";
import { Counter, Gauge, Histogram, register, type Registry } from "prom-client";
import { labelOf, prometheusName } from "./names.ts";

export interface PrometheusCounterOptions {
  /** Where the metrics are registered. @default prom-client's own `register` */
  readonly registry?: Registry;
  /** The prefix of every metric's name: letters, digits, `_` and `:`. @default "kinesis_" */
  readonly prefix?: string;
  /** Whether series are split by shard. False results in fewer series. @default true */
  readonly perShard?: boolean;
  /** The upper bounds of the duration buckets, in seconds, ascending. @default 5 µs to 10 min */
  readonly buckets?: readonly number[];
}

const OPTION_NAMES = ["registry", "prefix", "perShard", "buckets"];
const PREFIX = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
/** Buckets for numbers of records, up to the largest batch. */
const COUNT_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/** Buckets for durations, in seconds: from a trivial handler to a take-over that took minutes. */
const BUCKETS = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];

interface Instrument<Kind> {
  readonly metric: Kind;
  readonly factor: number;
}

const KINDS = { counter: Counter, gauge: Gauge, histogram: Histogram };

/**
 * A consumer's metrics in a Prometheus registry. The constructor registers all metrics, so that a scrape lists them before
 * the first record. Several consumers can share a registry, with one counter or with one each: their series differ by
 * `stream` and `application`.
 */
export class PrometheusCounter implements KcCounter {
  readonly perShard: boolean;
  readonly registry: Registry;
  readonly #instruments = new Map<MetricName, Instrument<Counter | Gauge | Histogram>>();

  /** @throws ConfigError if an option is wrong, or another metric has one of the names */
  constructor(options: PrometheusCounterOptions = {}) {
    const {
      registry,
      prefix,
      perShard,
      buckets: durationBuckets = BUCKETS,
    } = checkOptions(options);
    this.perShard = perShard;
    this.registry = registry;
    for (const metric of Object.keys(METRICS) as MetricName[]) {
      const Kind = KINDS[METRICS[metric].kind];
      const { name, labels, factor } = prometheusName(metric, prefix);
      const buckets = METRICS[metric].unit === "ms" ? durationBuckets : COUNT_BUCKETS;
      const existing = registry.getSingleMetric(name);
      if (existing !== undefined) {
        if (!(existing instanceof Kind) || !hasLabels(existing, labels)) {
          throw new ConfigError("prefix", `the registry has another metric named ${name}`);
        }
        if (options.buckets !== undefined && !hasBuckets(existing, buckets)) {
          throw new ConfigError("buckets", `the registry has ${name} with other buckets`);
        }
      }
      const { description: help, fold = "sum" }: MetricDefinition = METRICS[metric];
      const configuration = {
        name,
        help,
        labelNames: [...labels],
        registers: [registry],
        // How prom-client's AggregatorRegistry combines the processes of a cluster, such as the largest lag.
        aggregator: fold,
      };
      this.#instruments.set(metric, {
        metric:
          existing ??
          new Kind(
            Kind === Histogram ? { ...configuration, buckets: [...buckets] } : configuration,
          ),
        factor,
      });
    }
  }

  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    const { metric, factor } = this.#instrument<Counter>(name);
    metric.inc(labelsOf(attributes), value * factor);
  }

  set<Name extends GaugeName>(name: Name, value: number, attributes: MetricAttributes<Name>): void {
    const { metric, factor } = this.#instrument<Gauge>(name);
    metric.set(labelsOf(attributes), value * factor);
  }

  record<Name extends HistogramName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    const { metric, factor } = this.#instrument<Histogram>(name);
    metric.observe(labelsOf(attributes), value * factor);
  }

  remove<Name extends CounterName | GaugeName>(
    name: Name,
    attributes: MetricAttributes<Name>,
  ): void {
    this.#instrument<Counter | Gauge>(name).metric.remove(labelsOf(attributes));
  }

  /** `Kind` is safe: each method's type admits only the metrics of its kind, as core's `METRICS` defines them. */
  #instrument<Kind>(name: MetricName): Instrument<Kind> {
    return this.#instruments.get(name) as Instrument<Kind>;
  }
}

type Checked = Required<Omit<PrometheusCounterOptions, "buckets">> &
  Pick<PrometheusCounterOptions, "buckets">;

function checkOptions(options: PrometheusCounterOptions): Checked {
  checkOptionNames("PrometheusCounter", options, OPTION_NAMES);
  const { registry = register, prefix = "kinesis_", perShard = true, buckets } = options;
  checkMethods("registry", registry, ["registerMetric"], "a Registry of prom-client");
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    throw new ConfigError("prefix", "must begin a metric's name: letters, digits, _ and :");
  }
  checkBoolean("perShard", perShard);
  if (buckets !== undefined && !isAscending(buckets)) {
    throw new ConfigError("buckets", "must be ascending numbers of seconds above 0");
  }
  return { registry, prefix, perShard, ...(buckets === undefined ? {} : { buckets }) };
}

/** Members of a registered metric that prom-client's typings omit. */
interface Registered {
  readonly labelNames?: readonly string[];
  readonly upperBounds?: readonly number[];
}

/** If a label were missing, the metric would refuse each value. */
function hasLabels(existing: object, labels: readonly string[]): boolean {
  const { labelNames }: Registered = existing;
  return isSame(labelNames?.toSorted(), labels.toSorted());
}

/** True for metrics other than histograms, which have no buckets. */
function hasBuckets(existing: object, buckets: readonly number[]): boolean {
  const { upperBounds }: Registered = existing;
  return upperBounds === undefined || isSame(upperBounds, buckets);
}

function isSame(a: readonly unknown[] = [], b: readonly unknown[] = []): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

function isAscending(buckets: unknown): boolean {
  return (
    Array.isArray(buckets) &&
    buckets.length > 0 &&
    buckets.every((bound, i) => Number.isFinite(bound) && bound > (buckets[i - 1] ?? 0))
  );
}

/** A cache by object: core passes the same object for all series with the same attributes. */
const known = new WeakMap<Readonly<Record<string, string>>, Record<string, string>>();

function labelsOf(attributes: Readonly<Record<string, string>>): Record<string, string> {
  let labels = known.get(attributes);
  if (labels === undefined) {
    const named = Object.entries(attributes).map(([name, value]) => [labelOf(name), value]);
    known.set(attributes, (labels = Object.fromEntries(named) as Record<string, string>));
  }
  return labels;
}
