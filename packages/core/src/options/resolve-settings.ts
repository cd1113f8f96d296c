import type { StartPosition, StoreCapabilities } from "../checkpoints/store.ts";
import { ConfigError } from "../errors.ts";
import type { Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import { WIRE_OPTIONS, type WireOption } from "../kinesis/wire/wire.ts";
import type { ConsumerOptions } from "./consumer-options.ts";
import { checkBoolean, checkDuration, checkOneOf, checkWholeNumber } from "./option-values.ts";
import { checkDeaggregate } from "./resolve-tools.ts";

/** The options that are numbers, booleans and enumerations. `ConsumerOptions` documents each. */
export interface ResolvedSettings {
  readonly start: StartPosition;
  readonly scanIntervalMs: number;
  readonly immediateRescan: boolean;
  readonly maxRecords: number;
  readonly wire: WireOption;
  readonly deaggregate: Deaggregate;
  readonly idleIntervalMs: number;
  readonly maxBufferedBytes: number;
  readonly readShare: number;
  readonly flushIntervalMs: number;
  readonly maxUnflushedMs: number;
  readonly drainTimeoutMs: number;
  readonly discoveryIntervalMs: number;
}

const MIB = 1024 * 1024;

/** Validates the settings and applies defaults. @throws ConfigError that names the option */
export function resolveSettings(
  options: Partial<Pick<ConsumerOptions, keyof ResolvedSettings>>,
  capabilities: StoreCapabilities,
): ResolvedSettings {
  const {
    start = "LATEST",
    scanIntervalMs = 250,
    immediateRescan = false,
    maxRecords = 10_000,
    wire = "auto",
    deaggregate = true,
    idleIntervalMs = 1000,
    maxBufferedBytes = 64 * MIB,
    readShare = 1,
    flushIntervalMs = capabilities.flushIntervalMs,
    maxUnflushedMs = 30_000,
    drainTimeoutMs = 20_000,
    discoveryIntervalMs = 30_000,
  } = options;
  return {
    start: checkStart(start),
    scanIntervalMs: checkDuration("scanIntervalMs", scanIntervalMs),
    immediateRescan: checkBoolean("immediateRescan", immediateRescan),
    maxRecords: checkWholeNumber("maxRecords", maxRecords, { min: 1, max: 10_000 }),
    wire: checkOneOf("wire", wire, WIRE_OPTIONS),
    deaggregate: checkDeaggregate(deaggregate),
    idleIntervalMs: checkDuration("idleIntervalMs", idleIntervalMs),
    maxBufferedBytes: checkWholeNumber(
      "maxBufferedBytes",
      maxBufferedBytes,
      { min: 16 * MIB, max: Infinity },
      "bytes",
    ),
    readShare: checkReadShare(readShare),
    flushIntervalMs: checkDuration("flushIntervalMs", flushIntervalMs),
    maxUnflushedMs: checkDuration("maxUnflushedMs", maxUnflushedMs),
    drainTimeoutMs: checkDuration("drainTimeoutMs", drainTimeoutMs),
    discoveryIntervalMs: checkDuration("discoveryIntervalMs", discoveryIntervalMs, 1000),
  };
}

function checkStart(start: unknown): StartPosition {
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  if (typeof start !== "object" || start === null || !("timestamp" in start)) {
    throw new ConfigError("start", `must be "LATEST", "TRIM_HORIZON" or { timestamp: Date }`);
  }
  const date = start.timestamp;
  if (!(date instanceof Date) || Number.isNaN(date.getTime())) {
    throw new ConfigError("start.timestamp", "must be a valid Date");
  }
  return { timestamp: new Date(date) };
}

function checkReadShare(share: unknown): number {
  if (typeof share === "number" && share > 0 && share <= 1) return share;
  throw new ConfigError(
    "readShare",
    `must be a number above 0 and at most 1, not ${String(share)}`,
  );
}
