import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { inspect } from "node:util";
import { MAX_WEIGHT } from "../../checkpoints/stored-rows.ts";
import { MAX_TIMER_MS } from "../../clock.ts";
import { ConfigError } from "../../errors.ts";
import { checkOptionNames } from "../../options/option-names.ts";
import { leaseTiming, type LeaseTiming } from "./timing.ts";

/** Options of a `LeaseGroup`. */
export interface LeaseGroupOptions {
  /**
   * Id of this process among the workers of the application: 1 to 200 characters without `#` and control characters.
   * Must be unique among live workers. @default the host name with a random suffix
   */
  readonly workerId?: string;
  /**
   * Lease duration in milliseconds, at least 1000: a worker that sends no heartbeat for this long loses its shards to
   * other workers. A handler must not block the event loop for that long. @default 10000
   */
  readonly leaseMs?: number;
  /** Milliseconds between heartbeats: 100 to a tenth of `leaseMs`. @default leaseMs / 10 */
  readonly heartbeatMs?: number;
  /** Shards are shared in proportion to the workers' weights; above 0, at most 1e9. @default 1 */
  readonly weight?: number;
  /** Maximum number of shards of this worker, an integer from 1. @default no limit */
  readonly maxShards?: number;
  /**
   * A worker that reaches the store but cannot read its shards for this many milliseconds (at least 1000) leaves
   * them to the other workers, and joins again when it can read. It cannot read if Kinesis does not answer it but
   * answers another worker, or if an earlier handler of one of its shards does not return. @default 60000
   */
  readonly yieldAfterMs?: number;
}

export interface CheckedLeaseGroupOptions {
  readonly workerId: string;
  readonly weight: number;
  readonly maxShards: number | undefined;
  readonly yieldAfterMs: number;
  readonly timing: LeaseTiming;
}

const OPTION_NAMES: Readonly<Record<keyof LeaseGroupOptions, true>> = {
  workerId: true,
  leaseMs: true,
  heartbeatMs: true,
  weight: true,
  maxShards: true,
  yieldAfterMs: true,
};
const MIN_HEARTBEAT_MS = 100;
const WORKER_ID = /^[^#\p{Cc}\p{Surrogate}]{1,200}$/u;

/** Validates the options and applies defaults. @throws ConfigError that names the option */
export function checkLeaseGroupOptions(options: LeaseGroupOptions): CheckedLeaseGroupOptions {
  checkOptionNames("LeaseGroup", options, Object.keys(OPTION_NAMES));
  const { leaseMs = 10_000, weight = 1, maxShards, yieldAfterMs = 60_000 } = options;
  const { heartbeatMs = leaseMs / 10, workerId = uniqueWorkerId() } = options;
  if (typeof workerId !== "string" || !WORKER_ID.test(workerId)) {
    throw new ConfigError("workerId", 'must be a name of 1 to 200 characters without "#"');
  }
  const isLease = leaseMs >= 1000 && leaseMs <= MAX_TIMER_MS;
  check("leaseMs", leaseMs, isLease, "at least 1000 milliseconds");
  const bounds = `from ${MIN_HEARTBEAT_MS} to a tenth of leaseMs (${leaseMs / 10}) milliseconds`;
  const isWithin = heartbeatMs >= MIN_HEARTBEAT_MS && heartbeatMs <= leaseMs / 10;
  check("heartbeatMs", heartbeatMs, isWithin, bounds);
  const isWeight = weight > 0 && weight <= MAX_WEIGHT;
  check("weight", weight, isWeight, `a number above 0, at most ${MAX_WEIGHT}`);
  if (maxShards !== undefined) {
    const isCount = Number.isInteger(maxShards) && maxShards >= 1;
    check("maxShards", maxShards, isCount, "a whole number from 1");
  }
  const isYieldTime = yieldAfterMs >= 1000 && yieldAfterMs <= MAX_TIMER_MS;
  check("yieldAfterMs", yieldAfterMs, isYieldTime, "at least 1000 milliseconds");
  const timing = leaseTiming(leaseMs, heartbeatMs);
  return { workerId, weight, maxShards, yieldAfterMs, timing };
}

function uniqueWorkerId(): string {
  const name = hostname()
    .replaceAll(/[#\p{Cc}]/gu, "-")
    .slice(0, 190);
  return `${name || "worker"}-${randomBytes(4).toString("hex")}`;
}

function check(name: string, value: unknown, holds: boolean, what: string): void {
  if (typeof value === "number" && holds) return;
  throw new ConfigError(name, `must be ${what}, not ${inspect(value)}`);
}
