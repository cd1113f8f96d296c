import type { DeliveryPlan } from "./delivery-plan.ts";
import { Random } from "./random.ts";

/**
 * The aggregates that a story's producer puts among ordinary records, and how its consumers handle
 * them.
 */
export interface AggregatePlan {
  /** The fraction of puts that contain an aggregate, or something like one. */
  readonly share: number;
  /** The maximum number of user records in one; the approximate number in all. */
  readonly mostRecords: number;
  /** The fraction of user records with explicit hash keys. */
  readonly hashKeys: number;
  /** The fraction that belongs to other shards, as after a reshard. */
  readonly strays: number;
  /** The fraction of aggregates that are damaged, and must be delivered unchanged. */
  readonly damaged: number;
  /** True if keys do not decide the shard, and half of the records have none. */
  readonly isKeyless: boolean;
  readonly deaggregate: boolean | "all";
  /** `undefined` if records are not decoded; otherwise the fraction that does not decode. */
  readonly undecodable?: number;
}

/** The fraction of stories with aggregates. */
const SHARE = 0.3;

/**
 * A separate source of randomness, so that stories without aggregates do not depend on aggregate
 * plans.
 */
export function aggregateRandom(seed: number): Random {
  return new Random(Math.imul(seed, 0x85ebca6b) ^ 0x1b873593);
}

/** Returns `undefined` for a story without aggregates. */
export function aggregatePlanOf(
  random: Random,
  delivery: DeliveryPlan | undefined,
): AggregatePlan | undefined {
  if (!random.chance(SHARE)) return undefined;
  const isDecoded = random.chance(0.5);
  const endsScans = (delivery?.onFailure ?? "stop") === "stop";
  const undecodable = random.pick([0, 0.03]);
  return {
    share: random.pick([0.3, 0.8]),
    mostRecords: random.pick([3, 10, 30, 100]),
    hashKeys: random.pick([0, 0.3]),
    strays: random.pick([0, 0.1, 0.5]),
    damaged: random.pick([0, 0.1]),
    isKeyless: random.chance(0.2),
    deaggregate: random.pick([true, true, true, "all", false]),
    ...(isDecoded && { undecodable: endsScans ? 0 : undecodable }),
  };
}
