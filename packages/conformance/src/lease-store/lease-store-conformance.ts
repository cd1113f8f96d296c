import { registerScenarios, type ConformanceOptions } from "../register.ts";
import { collectScenarios } from "../scenario.ts";
import type { LeaseStoreHarness, LeaseStoreScenario } from "./harness.ts";
import { leaseApplicationScenarios } from "./scenarios/application.ts";
import { extentScenarios } from "./scenarios/extent.ts";
import { leaseFenceScenarios } from "./scenarios/fences.ts";
import { leaseInsideScenarios } from "./scenarios/inside.ts";
import { leaseRaceScenarios } from "./scenarios/lease-races.ts";
import { leaseScenarios } from "./scenarios/leases.ts";
import { leaseLifecycleScenarios } from "./scenarios/lifecycle.ts";
import { shardScenarios } from "./scenarios/shards.ts";
import { watchScenarios } from "./scenarios/watch.ts";
import { workerRaceScenarios } from "./scenarios/worker-races.ts";
import { workerScenarios } from "./scenarios/workers.ts";

/** All scenarios of a LeaseStore beyond those of a Store. */
export const LEASE_STORE_SCENARIOS: readonly LeaseStoreScenario[] = collectScenarios(
  workerScenarios,
  workerRaceScenarios,
  shardScenarios,
  leaseScenarios,
  leaseRaceScenarios,
  leaseFenceScenarios,
  leaseInsideScenarios,
  extentScenarios,
  leaseApplicationScenarios,
  watchScenarios,
  leaseLifecycleScenarios,
);

/**
 * Registers the suite for a LeaseStore, in addition to `storeConformance` on the same harness.
 * @throws Error if `knownGaps` has a key that names no scenario, or an empty reason.
 */
export function leaseStoreConformance(
  name: string,
  makeHarness: () => Promise<LeaseStoreHarness>,
  options?: ConformanceOptions,
): void {
  registerScenarios(name, LEASE_STORE_SCENARIOS, makeHarness, options);
}
