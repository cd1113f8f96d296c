import type { Writable } from "node:stream";
import { ConfigError, METRICS, type MetricName } from "@kc/core";
import { checkBoolean, checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";
import { cloudWatchDimensions, cloudWatchName } from "./names.ts";
import type { CloudWatchLike } from "./put-metric-data-sink.ts";

export type CloudWatchCounterOptions = {
  /** The namespace of the metrics. @default "Kinesis/Consumer" */
  readonly namespace?: string;
  /** The interval of reports, in milliseconds, at min 1000. @default 60000 */
  readonly intervalMs?: number;
  /** Additional dimensions of every metric, at most 20: a service, an environment. @default none */
  readonly dimensions?: Readonly<Record<string, string>>;
  /** Whether metrics are split by shard. CloudWatch bills each metric of each shard. @default false */
  readonly perShard?: boolean;
} & (
  | {
      /** Where the embedded metric format is written. You own the stream. @default process.stdout */
      readonly output?: Writable;
      /** The maximum number of bytes buffered in the output. Beyond it, metrics are dropped. @default 1 MiB */
      readonly maxBufferedBytes?: number;
      readonly client?: never;
      readonly timeoutMs?: never;
    }
  | {
      /** A `CloudWatch` of `@aws-sdk/client-cloudwatch`, for PutMetricData. You own it. */
      readonly client: CloudWatchLike;
      /** The timeout of a call, in milliseconds. @default 10000 */
      readonly timeoutMs?: number;
      readonly output?: never;
      readonly maxBufferedBytes?: never;
    }
);

export interface CheckedOptions {
  readonly namespace: string;
  readonly intervalMs: number;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly perShard: boolean;
  readonly to:
    | { readonly output: Writable; readonly maxBufferedBytes: number }
    | { readonly client: CloudWatchLike; readonly timeoutMs: number };
}

const OPTION_NAMES = [
  "namespace",
  "intervalMs",
  "dimensions",
  "perShard",
  "output",
  "maxBufferedBytes",
  "client",
  "timeoutMs",
];
const MAX_MS = 2 ** 31 - 1;
const MIB = 1024 * 1024;
/** CloudWatch accepts 30; the rest are for the metrics' own dimensions. */
const MAX_DIMENSIONS = 20;

/** @throws ConfigError that names the option */
export function checkOptions(options: CloudWatchCounterOptions): CheckedOptions {
  checkOptionNames("CloudWatchCounter", options, OPTION_NAMES);
  const { namespace = "Kinesis/Consumer", dimensions = {}, perShard = false } = options;
  const isNamespace = typeof namespace === "string" && /^[\w./#:-]{1,255}$/.test(namespace);
  if (!isNamespace || namespace.startsWith("AWS/") || namespace.startsWith(":")) {
    throw new ConfigError(
      "namespace",
      "must be 1 to 255 letters, digits and . - _ / # :, and not one of AWS's namespaces",
    );
  }
  checkBoolean("perShard", perShard);
  return {
    namespace,
    intervalMs: atLeast("intervalMs", options.intervalMs, 60_000, 1000),
    dimensions: checkDimensions(dimensions),
    perShard,
    to: checkDestination(options),
  };
}

function checkDestination(options: CloudWatchCounterOptions): CheckedOptions["to"] {
  const { client, output, timeoutMs, maxBufferedBytes } = options;
  if (client === undefined) {
    if (timeoutMs !== undefined) throw new ConfigError("timeoutMs", "it needs a client");
    if (output !== undefined) checkMethods("output", output, ["write"], "a Writable");
    return {
      output: output ?? process.stdout,
      maxBufferedBytes: atLeast("maxBufferedBytes", maxBufferedBytes, MIB, 0),
    };
  }
  for (const name of ["output", "maxBufferedBytes"] as const) {
    if (options[name] !== undefined) throw new ConfigError(name, "give a client or this, not both");
  }
  checkMethods("client", client, ["putMetricData"], "a CloudWatch of @aws-sdk/client-cloudwatch");
  return { client, timeoutMs: atLeast("timeoutMs", timeoutMs, 10_000, 1) };
}

/** In a document of the embedded format, dimensions and metrics are members of one object, so names must not collide. */
function checkDimensions(dimensions: unknown): Readonly<Record<string, string>> {
  if (typeof dimensions !== "object" || dimensions === null) {
    throw new ConfigError("dimensions", "must be an object of names and values");
  }
  const entries = Object.entries(dimensions);
  if (entries.length > MAX_DIMENSIONS) {
    throw new ConfigError("dimensions", `must be at most ${MAX_DIMENSIONS}`);
  }
  const metrics = Object.keys(METRICS) as MetricName[];
  const own = metrics.flatMap((metric) => METRICS[metric].attributes as readonly string[]);
  const taken = new Set([
    "_aws",
    ...metrics.map((metric) => cloudWatchName(metric).name),
    ...Object.keys(cloudWatchDimensions(Object.fromEntries(own.map((name) => [name, ""])))),
    "Stream",
    "Application",
  ]);
  for (const [name, value] of entries) {
    if (!/^[\x21-\x7e]{1,250}$/.test(name) || name.startsWith(":") || taken.has(name)) {
      throw new ConfigError("dimensions", `"${name}" cannot be a name, or belongs to a metric`);
    }
    if (typeof value !== "string" || !/^(?!:)[\x20-\x7e]{1,1024}$/.test(value) || !value.trim()) {
      throw new ConfigError("dimensions", `${name}: must be 1 to 1024 printable characters`);
    }
  }
  return dimensions as Readonly<Record<string, string>>;
}

function atLeast(name: string, value: unknown, defaultValue: number, min: number): number {
  if (value === undefined) return defaultValue;
  return checkWholeNumber(name, value, { min, max: MAX_MS });
}
