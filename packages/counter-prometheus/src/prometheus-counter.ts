import {
  ConfigError,
  METRICS,
  type Counter as KcCounter,
  type CounterName,
  type GaugeName,
  type MetricAttributes,
  type MetricName,
} from "@kc/core";
import { Counter, Gauge, register, type Registry } from "prom-client";
import { labelOf, prometheusName } from "./names.ts";

export interface PrometheusCounterOptions {
  /** Where the metrics are registered. @default prom-client's own `register` */
  readonly registry?: Registry;
  /** Stands before every metric's name: letters, digits, `_` and `:`. @default "kinesis_" */
  readonly prefix?: string;
}

const OPTION_NAMES = new Set(["registry", "prefix"]);
const PREFIX = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

interface Instrument<Kind> {
  readonly metric: Kind;
  readonly factor: number;
}

/**
 * A consumer's figures in a Prometheus registry. All metrics are registered when it is made, so that
 * a scrape names them before the first record. Several consumers, each with a counter of its own or
 * all with one, share a registry: their series differ by `stream` and `application`.
 */
export class PrometheusCounter implements KcCounter {
  readonly #counters = new Map<MetricName, Instrument<Counter>>();
  readonly #gauges = new Map<MetricName, Instrument<Gauge>>();

  /** @throws ConfigError if an option is wrong, or a metric of another kind has one of the names */
  constructor(options: PrometheusCounterOptions = {}) {
    for (const name of Object.keys(options)) {
      if (!OPTION_NAMES.has(name)) throw new ConfigError(name, "there is no such option");
    }
    const { registry = register, prefix = "kinesis_" } = options;
    if (typeof registry?.registerMetric !== "function") {
      throw new ConfigError("registry", "a Registry of prom-client is needed");
    }
    if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
      throw new ConfigError("prefix", "must begin a metric's name: letters, digits, _ and :");
    }
    for (const metric of Object.keys(METRICS) as MetricName[]) {
      if (METRICS[metric].kind === "counter") this.#counters.set(metric, make(Counter, metric));
      else this.#gauges.set(metric, make(Gauge, metric));
    }

    function make<Kind extends Counter | Gauge>(
      Kind: new (configuration: ConstructorParameters<typeof Counter>[0]) => Kind,
      metric: MetricName,
    ): Instrument<Kind> {
      const { name, labels, factor } = prometheusName(metric, prefix);
      const standing = registry.getSingleMetric(name);
      if (standing instanceof Kind) return { metric: standing, factor };
      if (standing !== undefined) {
        throw new ConfigError("prefix", `the registry has another kind of metric named ${name}`);
      }
      const help = METRICS[metric].description;
      return {
        metric: new Kind({ name, help, labelNames: [...labels], registers: [registry] }),
        factor,
      };
    }
  }

  add<Name extends CounterName>(
    name: Name,
    value: number,
    attributes: MetricAttributes<Name>,
  ): void {
    const { metric, factor } = this.#counters.get(name)!;
    metric.inc(labelsOf(attributes), value * factor);
  }

  set<Name extends GaugeName>(
    name: Name,
    value: number | undefined,
    attributes: MetricAttributes<Name>,
  ): void {
    const { metric, factor } = this.#gauges.get(name)!;
    if (value === undefined) metric.remove(labelsOf(attributes));
    else metric.set(labelsOf(attributes), value * factor);
  }
}

function labelsOf(attributes: Readonly<Record<string, string>>): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const name in attributes) labels[labelOf(name)] = attributes[name]!;
  return labels;
}
