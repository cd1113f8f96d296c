import { METRICS, type MetricName } from "@kc/core";

/** A metric's name and labels in Prometheus. */
export interface PrometheusName {
  readonly name: string;
  /** The labels in the order of registration. */
  readonly labels: readonly string[];
  /** The factor to Prometheus's base unit. */
  readonly factor: number;
}

/** The base unit of each unit of `METRICS`, as a suffix, and the factor to it. */
const UNITS: Readonly<Record<string, readonly [suffix: string, factor: number]>> = {
  ms: ["_seconds", 0.001],
  By: ["_bytes", 1],
};

/** The attributes that every metric carries. */
const SHARED = ["stream", "application"];

/** The name and labels of a metric: `kinesis_records_total`, `kinesis_lag_seconds`; `shardId` becomes `shard_id`. */
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
