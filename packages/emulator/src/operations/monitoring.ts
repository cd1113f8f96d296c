import type { MetricsName } from "@aws-sdk/client-kinesis";
import type { Input, Output } from "../api/operation-types.ts";
import { shardLevelMetrics } from "../api/shapes.ts";
import type { Model } from "../model/model.ts";

type MonitoringInput = Input<"EnableEnhancedMonitoring">;
type MonitoringOutput = Output<"EnableEnhancedMonitoring">;

export function enableEnhancedMonitoring(model: Model, input: MonitoringInput): MonitoringOutput {
  return change(model, input, (metrics, metric) => metrics.add(metric));
}

export function disableEnhancedMonitoring(model: Model, input: MonitoringInput): MonitoringOutput {
  return change(model, input, (metrics, metric) => metrics.delete(metric));
}

/** The enabled metrics, in the order of the service's documentation. */
export function metricNames(metrics: ReadonlySet<string>): MetricsName[] {
  return shardLevelMetrics.filter((metric) => metrics.has(metric)) as MetricsName[];
}

function change(
  { streams }: Model,
  input: MonitoringInput,
  apply: (metrics: Set<string>, metric: string) => unknown,
): MonitoringOutput {
  const stream = streams.findActive(input);
  const metrics = stream.settings.shardLevelMetrics;
  const before = metricNames(metrics);
  const named = input.ShardLevelMetrics!;
  for (const metric of named.includes("ALL") ? shardLevelMetrics : named) apply(metrics, metric);
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    CurrentShardLevelMetrics: before,
    DesiredShardLevelMetrics: metricNames(metrics),
  };
}
