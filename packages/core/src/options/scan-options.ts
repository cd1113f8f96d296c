import { inspect } from "node:util";
import { ConfigError } from "../errors.ts";
import { checkOptionNames } from "./option-names.ts";
import type { HealthThresholds } from "../telemetry/health.ts";

export interface ScanOptions {
  /**
   * Stops the scan when it aborts: no further record is started, running handlers are waited for, and
   * checkpoints are flushed. @default none
   */
  readonly signal?: AbortSignal;
}

const SCAN_OPTIONS: Readonly<Record<keyof ScanOptions, true>> = { signal: true };
const THRESHOLDS: Readonly<Record<keyof HealthThresholds, true>> = {
  stuckAfterMs: true,
  failingAfterMs: true,
  laggingAfterMs: true,
  retentionHeadroomBelowMs: true,
};

/**
 * Validates the options of `records` and `events`, and the part that all other calls share.
 * @param names the names of all options of the call
 * @throws ConfigError
 */
export function checkScanOptions(
  options: ScanOptions,
  names: readonly string[] = Object.keys(SCAN_OPTIONS),
): ScanOptions {
  if (isSignal(options)) throw new ConfigError("signal", "pass the signal as { signal }");
  checkOptionNames("a scan", options, names);
  const { signal } = options;
  if (signal === undefined || isSignal(signal)) return options;
  const isController = isSignal((signal as { readonly signal?: unknown } | null)?.signal);
  throw new ConfigError(
    "signal",
    isController
      ? "must be an AbortSignal, not its controller: pass controller.signal"
      : `must be an AbortSignal, not ${inspect(signal, { depth: -1 })}`,
  );
}

/** Validates the argument of `pause`. @throws ConfigError */
export function checkShardIds(shardIds: readonly string[]): readonly string[] {
  const isList = Array.isArray(shardIds) && shardIds.length > 0;
  if (isList && shardIds.every((id) => typeof id === "string" && id !== "")) return shardIds;
  throw new ConfigError(
    "shardIds",
    `must be a list of shards' ids, not ${inspect(shardIds, { depth: 0 })}; without it all shards pause`,
  );
}

/** Validates the argument of `health`. @throws ConfigError */
export function checkThresholds(thresholds: HealthThresholds): HealthThresholds {
  checkOptionNames("health()", thresholds, Object.keys(THRESHOLDS), "thresholds");
  for (const [name, value] of Object.entries(thresholds) as [string, unknown][]) {
    if (value === undefined || (typeof value === "number" && value >= 0)) continue;
    throw new ConfigError(
      name,
      `must be a number of milliseconds of at least 0, not ${inspect(value, { depth: -1 })}`,
    );
  }
  return thresholds;
}

/** Checks members, not the class: a signal of another realm is no instance of this realm's class. */
function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== "object" || value === null) return false;
  const { aborted, addEventListener } = value as Partial<AbortSignal>;
  return typeof aborted === "boolean" && typeof addEventListener === "function";
}
