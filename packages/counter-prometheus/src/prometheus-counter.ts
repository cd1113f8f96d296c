import {
  ConfigError,
  METRICS,
  type Counter as KcCounter,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type MetricAttributes,
  type MetricName,
} from "@kc/core";
import { Counter, Gauge, Histogram, register, type Registry } from "prom-client";
import { labelOf, prometheusName } from "./names.ts";

export interface PrometheusCounterOptions {
  /** Where the metrics are registered. @default prom-client's own `register` */
  readonly registry?: Registry;
  /** Stands before every metric's name: letters, digits, `_` and `:`. @default "kinesis_" */
  readonly prefix?: string;
  /** False = shards are not told apart: fewer series. @default true */
  readonly perShard?: boolean;
  /** The upper bounds of the histograms' buckets, in seconds, ascending. @default 0.001 to 60 */
  readonly buckets?: readonly number[];
}

const OPTION_NAMES = new Set(["registry", "prefix", "perShard", "buckets"]);
const PREFIX = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

interface Instrument<Kind> {
  readonly metric: Kind;
  readonly factor: number;
}

const KINDS = { counter: Counter, gauge: Gauge, histogram: Histogram };

/**
 * A consumer's figures in a Prometheus registry. All metrics are registered when it is made, so that
 * a scrape names them before the first record. Several consumers, each with a counter of its own or
 * all with one, share a registry: their series differ by `stream` and `application`.
 */
export class PrometheusCounter implements KcCounter {
  readonly perShard: boolean;
  readonly #instruments = new Map<MetricName, Instrument<Counter | Gauge | Histogram>>();

  /** @throws ConfigError if an option is wrong, or a metric of another kind has one of the names */
  constructor(options: PrometheusCounterOptions = {}) {
    const { registry, prefix, perShard, buckets } = checkOptions(options);
    this.perShard = perShard;
    for (const metric of Object.keys(METRICS) as MetricName[]) {
      const Kind = KINDS[METRICS[metric].kind];
      const { name, labels, factor } = prometheusName(metric, prefix);
      const standing = registry.getSingleMetric(name);
      if (standing !== undefined && !(standing instanceof Kind)) {
        throw new ConfigError("prefix", `the registry has another kind of metric named ${name}`);
      }
      const help = METRICS[metric].description;
      const configuration = {
        name,
        help,
        labelNames: [...labels],
        registers: [registry],
        // How prom-client's AggregatorRegistry folds the processes of a cluster: the largest lag, not a sum.
        aggregator: foldOf(metric),
      };
      this.#instruments.set(metric, {
        metric:
          standing ??
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

  /** A metric's kind is the one that core's map names, and the contract's method is typed by. */
  #instrument<Kind>(name: MetricName): Instrument<Kind> {
    return this.#instruments.get(name) as Instrument<Kind>;
  }
}

function checkOptions(options: PrometheusCounterOptions): Required<PrometheusCounterOptions> {
  for (const name of Object.keys(options)) {
    if (!OPTION_NAMES.has(name)) throw new ConfigError(name, "there is no such option");
  }
  const { registry = register, prefix = "kinesis_", perShard = true, buckets = BUCKETS } = options;
  if (typeof registry?.registerMetric !== "function") {
    throw new ConfigError("registry", "a Registry of prom-client is needed");
  }
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    throw new ConfigError("prefix", "must begin a metric's name: letters, digits, _ and :");
  }
  if (typeof perShard !== "boolean") throw new ConfigError("perShard", "true or false is needed");
  if (!isAscending(buckets)) {
    throw new ConfigError("buckets", "numbers of seconds above 0 are needed, ascending");
  }
  return { registry, prefix, perShard, buckets };
}

/** What all processes tell alike (the workers) and how long something has lasted cannot be added up. */
function foldOf(metric: MetricName): "sum" | "max" {
  const { kind, unit } = METRICS[metric];
  return metric === "workers" || (kind === "gauge" && unit === "ms") ? "max" : "sum";
}

function isAscending(buckets: unknown): boolean {
  return (
    Array.isArray(buckets) &&
    buckets.length > 0 &&
    buckets.every((bound, i) => Number.isFinite(bound) && bound > (buckets[i - 1] ?? 0))
  );
}

/** Core hands over the same object for the same series. */
const known = new WeakMap<Readonly<Record<string, string>>, Record<string, string>>();

function labelsOf(attributes: Readonly<Record<string, string>>): Record<string, string> {
  let labels = known.get(attributes);
  if (labels === undefined) {
    const named = Object.entries(attributes).map(([name, value]) => [labelOf(name), value]);
    known.set(attributes, (labels = Object.fromEntries(named) as Record<string, string>));
  }
  return labels;
}
