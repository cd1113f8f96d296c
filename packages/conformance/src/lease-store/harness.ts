import type { LeaseStore } from "@kc/core";
import type { Scenario } from "../scenario.ts";
import type { StoreHarness } from "../store/harness.ts";

/** A store's harness, whose handles are LeaseStores. */
export interface LeaseStoreHarness extends StoreHarness {
  open(): Promise<LeaseStore>;
}

export type LeaseStoreScenario = Scenario<LeaseStoreHarness>;
