import { METRICS, type MetricName } from "@kc/core";

/** A metric's name and attributes in OpenTelemetry. */
export interface OpenTelemetryName {
  readonly name: string;
  /** UCUM. */
  readonly unit: string;
  /** The factor to OpenTelemetry's unit: durations are in seconds. */
  readonly factor: number;
  /** Fixed attributes of the metric, in addition to those of its series. */
  readonly attributes: Readonly<Record<string, string>>;
}

export const SYSTEM = { "messaging.system": "aws.kinesis" };

/** The metrics that have a name in the semantic conventions for messaging. */
const BY_CONVENTION: Partial<Record<MetricName, Omit<OpenTelemetryName, "factor">>> = {
  records: {
    name: "messaging.client.consumed.messages",
    unit: "{message}",
    attributes: { ...SYSTEM, "messaging.operation.name": "GetRecords" },
  },
  poll_duration: {
    name: "messaging.client.operation.duration",
    unit: "s",
    attributes: {
      ...SYSTEM,
      "messaging.operation.name": "GetRecords",
      "messaging.operation.type": "receive",
    },
  },
  checkpoint_duration: {
    name: "messaging.client.operation.duration",
    unit: "s",
    attributes: {
      ...SYSTEM,
      "messaging.operation.name": "setCheckpoints",
      "messaging.operation.type": "settle",
    },
  },
  handler_duration: {
    name: "messaging.process.duration",
    unit: "s",
    attributes: { ...SYSTEM, "messaging.operation.name": "process" },
  },
};

const ATTRIBUTES: Readonly<Record<string, string>> = {
  stream: "messaging.destination.name",
  application: "messaging.consumer.group.name",
  shardId: "messaging.destination.partition.id",
  operation: "messaging.operation.name",
  error: "error.type",
};

/**
 * The name of a metric in the semantic conventions, such as `messaging.client.consumed.messages` for `records`. Metrics
 * without one are named like `kinesis.consumer.lag`.
 */
export function openTelemetryName(metric: MetricName): OpenTelemetryName {
  const { unit } = METRICS[metric];
  const isDuration = unit === "ms";
  const factor = isDuration ? 0.001 : 1;
  const standard = BY_CONVENTION[metric];
  if (standard !== undefined) return { ...standard, factor };
  const name = `kinesis.consumer.${metric}`;
  return { name, unit: isDuration ? "s" : unit, factor, attributes: SYSTEM };
}

/** A metric's attributes, named by the semantic conventions or with the prefix `kinesis.consumer.`. */
export function openTelemetryAttributes(
  attributes: Readonly<Record<string, string>>,
): Record<string, string> {
  const named: Record<string, string> = {};
  for (const name in attributes) {
    named[ATTRIBUTES[name] ?? `kinesis.consumer.${name}`] = attributes[name]!;
  }
  return named;
}
