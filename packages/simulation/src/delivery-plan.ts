import type { Ordering } from "@kc/core";
import { Random } from "./random.ts";

/** How the records of a story are delivered. */
export interface DeliveryPlan {
  readonly concurrency: number;
  readonly ordering: Ordering;
}

/** One record after another, as without options. */
export const ONE_BY_ONE: DeliveryPlan = { concurrency: 1, ordering: "key" };

/** The part of the stories whose handlers are called with options. */
const SHARE = 0.5;

/**
 * What delivery leaves to chance comes from a source of its own: a story without it is the same as if
 * there were none.
 */
export function deliveryRandom(seed: number): Random {
  return new Random(Math.imul(seed, 0x9e3779b1) ^ 0x7f4a7c15);
}

/** Undefined = the story's handler is called without options. */
export function planOf(random: Random): DeliveryPlan | undefined {
  if (!random.chance(SHARE)) return undefined;
  const concurrency = random.pick([2, 5, 20, 100]);
  return { concurrency, ordering: random.pick(["key", "key", "key", "none"]) };
}
