import { createHash } from "node:crypto";
import { METRICS, type MetricName } from "@kc/core";

/** A metric's name and unit in CloudWatch. */
export interface CloudWatchName {
  readonly name: string;
  readonly unit: "Bytes" | "Count" | "Milliseconds";
}

const UNITS: Readonly<Record<string, CloudWatchName["unit"]>> = {
  By: "Bytes",
  ms: "Milliseconds",
};

/** `handler_duration` is `HandlerDuration`, in milliseconds. */
export function cloudWatchName(metric: MetricName): CloudWatchName {
  return { name: pascal(metric), unit: UNITS[METRICS[metric].unit] ?? "Count" };
}

/** `shardId` becomes `ShardId`. Values are converted to what CloudWatch accepts: printable ASCII, never empty. */
export function cloudWatchDimensions(
  attributes: Readonly<Record<string, string>>,
): Record<string, string> {
  const dimensions: Record<string, string> = {};
  for (const name in attributes) dimensions[pascal(name)] = dimensionValue(attributes[name]!);
  return dimensions;
}

/** CloudWatch's limit. */
const MAX_VALUE_LENGTH = 1024;

const HASH_LENGTH = 8;

/** A value that must be altered gets a hash of the original as a suffix, so that different values stay different. */
function dimensionValue(text: string): string {
  const printable = text.replaceAll(/[^\x20-\x7e]/g, "_").replace(/^:/, "_");
  if (printable.trim() === "") return text === "" ? "-" : hashOf(text);
  if (printable === text && text.length <= MAX_VALUE_LENGTH) return text;
  return `${printable.slice(0, MAX_VALUE_LENGTH - HASH_LENGTH - 1)}-${hashOf(text)}`;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, HASH_LENGTH);
}

function pascal(name: string): string {
  return name.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
