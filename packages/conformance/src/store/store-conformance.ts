import { registerScenarios, type ConformanceOptions } from "../register.ts";
import { collectScenarios } from "../scenario.ts";
import type { StoreHarness, StoreScenario } from "./harness.ts";
import { abortScenarios } from "./scenarios/abort.ts";
import { aheadScenarios } from "./scenarios/ahead.ts";
import { applicationScenarios } from "./scenarios/application.ts";
import { bulkScenarios } from "./scenarios/bulk.ts";
import { checkpointScenarios } from "./scenarios/checkpoints.ts";
import { concurrencyScenarios } from "./scenarios/concurrency.ts";
import { fenceScenarios } from "./scenarios/fence.ts";
import { harnessScenarios } from "./scenarios/harness.ts";
import { insideScenarios } from "./scenarios/inside.ts";
import { lifecycleScenarios } from "./scenarios/lifecycle.ts";
import { manifestScenarios } from "./scenarios/manifest.ts";
import { outageScenarios } from "./scenarios/outage.ts";
import { resetScenarios } from "./scenarios/reset.ts";
import { scopeScenarios } from "./scenarios/scope.ts";
import { setupScenarios } from "./scenarios/setup.ts";

/** All scenarios of a Store; those of the harness are first. */
export const STORE_SCENARIOS: readonly StoreScenario[] = collectScenarios(
  harnessScenarios,
  manifestScenarios,
  checkpointScenarios,
  aheadScenarios,
  insideScenarios,
  resetScenarios,
  fenceScenarios,
  bulkScenarios,
  applicationScenarios,
  scopeScenarios,
  lifecycleScenarios,
  abortScenarios,
  outageScenarios,
  concurrencyScenarios,
  setupScenarios,
);

/**
 * Registers the suite for a Store. `makeHarness` is called again for each scenario.
 * @throws Error if `knownGaps` has a key that names no scenario, or an empty reason.
 */
export function storeConformance(
  name: string,
  makeHarness: () => Promise<StoreHarness>,
  options?: ConformanceOptions,
): void {
  registerScenarios(name, STORE_SCENARIOS, makeHarness, options);
}
