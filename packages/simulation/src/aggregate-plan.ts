import type { DeliveryPlan } from "./delivery-plan.ts";
import { Random } from "./random.ts";

/** What producers of a story put beside ordinary records, and how its consumers take it. */
export interface AggregatePlan {
  /** The part of the producers' turns that bring an aggregate, or what looks like one. */
  readonly share: number;
  /** How many user records are in one, at most; in all of them together, about. */
  readonly mostRecords: number;
  /** The part of the user records that have hash keys of their own. */
  readonly hashKeys: number;
  /** The part that belongs to other shards, as after a reshard. */
  readonly strays: number;
  /** The part of the aggregates that are damaged, and stay as they are. */
  readonly damaged: number;
  /** Keys do not decide the shard, and half of the records have none. */
  readonly isKeyless: boolean;
  readonly deaggregate: boolean | "all";
  /** Undefined = records are not decoded; else the part of them that does not decode. */
  readonly undecodable?: number;
}

/** The part of the stories that have aggregates. */
const SHARE = 0.3;

/**
 * What aggregates leave to chance comes from a source of its own, as with delivery: a story without them is
 * the same as if there were none.
 */
export function aggregateRandom(seed: number): Random {
  return new Random(Math.imul(seed, 0x85ebca6b) ^ 0x1b873593);
}

/** Undefined = the story has none. */
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
