import { METRICS, type MetricName } from "@kc/core";

/** A metric's name and attributes in Prometheus. */
export interface PrometheusName {
  readonly name: string;
  /** In the order in which they are registered. */
  readonly labels: readonly string[];
  /** What a value is multiplied by: Prometheus knows base units alone. */
  readonly factor: number;
}

/** What a unit of `METRICS` becomes: its base unit as a suffix, and the factor to it. */
const UNITS: Readonly<Record<string, readonly [suffix: string, factor: number]>> = {
  ms: ["_seconds", 0.001],
  By: ["_bytes", 1],
};

/** The attributes that every metric carries. */
const SHARED = ["stream", "application"];

/** `kinesis_records_total`, `kinesis_lag_seconds`; an attribute `shardId` is the label `shard_id`. */
export function prometheusName(metric: MetricName, prefix: string): PrometheusName {
  const { kind, unit, attributes } = METRICS[metric];
  const [suffix, factor] = UNITS[unit] ?? ["", 1];
  const base = `${prefix}${metric}`;
  const named = base.endsWith(suffix) ? base : `${base}${suffix}`;
  return {
    name: kind === "counter" ? `${named}_total` : named,
    labels: [...attributes, ...SHARED].map(labelOf),
    factor,
  };
}

export function labelOf(attribute: string): string {
  return attribute.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
