import type { StoreHarness } from "../../src/index.ts";
import { referenceHarness, type ReferenceStoreClass } from "./reference-store.ts";

/** A store (or a harness) with one fault, and the scenarios that are there to find it. */
export interface Mutant {
  readonly name: string;
  readonly caughtBy: readonly string[];
  readonly makeHarness: () => Promise<StoreHarness>;
}

/** A subclass of the reference store, with one thing broken. */
export function mutant(
  name: string,
  caughtBy: string | readonly string[],
  Class: ReferenceStoreClass,
): Mutant {
  return {
    name,
    caughtBy: [caughtBy].flat(),
    makeHarness: async () => referenceHarness(Class),
  };
}
