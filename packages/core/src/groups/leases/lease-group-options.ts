import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { inspect } from "node:util";
import { MAX_WEIGHT } from "../../checkpoints/stored-rows.ts";
import { MAX_TIMER_MS } from "../../clock.ts";
import { ConfigError } from "../../errors.ts";
import { checkOptionNames } from "../../options/option-names.ts";
import { leaseTiming, type LeaseTiming } from "./timing.ts";

export interface LeaseGroupOptions {
  /**
   * This process's name among the workers of the application, without `#` and control characters.
   * Two that live at once must differ. @default the host's name and a random suffix
   */
  readonly workerId?: string;
  /**
   * How long a worker may be silent before the others take its shards, in milliseconds; at least
   * 1000. A handler must give way to the event loop within that time. @default 10000
   */
  readonly leaseMs?: number;
  /** From one heartbeat to the next, in milliseconds: 100 to a tenth of `leaseMs`. @default leaseMs / 10 */
  readonly heartbeatMs?: number;
  /** This worker's share of the shards beside the others' weights; above 0, at most 1e9. @default 1 */
  readonly weight?: number;
  /** The most shards that this worker takes, a whole number from 1. @default no limit */
  readonly maxShards?: number;
  /**
   * A worker that cannot read its shards for so long, although it reaches the store, leaves them to the
   * other workers, and joins again once it can; 1000 or more, in milliseconds. It cannot if Kinesis is
   * out of its reach and not out of another worker's, or if a handler that had a shard before does not
   * return. @default 60000
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
const LEAST_HEARTBEAT_MS = 100;
const WORKER_ID = /^[^#\p{Cc}\p{Surrogate}]{1,200}$/u;

/** @throws ConfigError that names the option */
export function checkLeaseGroupOptions(options: LeaseGroupOptions): CheckedLeaseGroupOptions {
  checkOptionNames("LeaseGroup", options, Object.keys(OPTION_NAMES));
  const { leaseMs = 10_000, weight = 1, maxShards, yieldAfterMs = 60_000 } = options;
  const { heartbeatMs = leaseMs / 10, workerId = uniqueWorkerId() } = options;
  if (typeof workerId !== "string" || !WORKER_ID.test(workerId)) {
    throw new ConfigError("workerId", 'a name of 1 to 200 characters without "#" is needed');
  }
  check("leaseMs", leaseMs, leaseMs >= 1000 && leaseMs <= MAX_TIMER_MS, "from 1000 milliseconds");
  const bounds = `from ${LEAST_HEARTBEAT_MS} to a tenth of leaseMs (${leaseMs / 10}) milliseconds`;
  const isWithin = heartbeatMs >= LEAST_HEARTBEAT_MS && heartbeatMs <= leaseMs / 10;
  check("heartbeatMs", heartbeatMs, isWithin, bounds);
  check("weight", weight, weight > 0 && weight <= MAX_WEIGHT, `above 0, at most ${MAX_WEIGHT}`);
  if (maxShards !== undefined) {
    check("maxShards", maxShards, Number.isInteger(maxShards) && maxShards >= 1, "whole, from 1");
  }
  const isYieldTime = yieldAfterMs >= 1000 && yieldAfterMs <= MAX_TIMER_MS;
  check("yieldAfterMs", yieldAfterMs, isYieldTime, "from 1000 milliseconds");
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
  throw new ConfigError(name, `a number ${what} is needed, not ${inspect(value)}`);
}
