import { registerScenarios, type ConformanceOptions } from "../register.ts";
import type { CounterHarness } from "./harness.ts";
import { COUNTER_SCENARIOS } from "./scenarios.ts";

/**
 * Registers the suite for a Counter. `makeHarness` is called again for each scenario.
 * @throws Error if `knownGaps` has a key that names no scenario, or an empty reason.
 */
export function counterConformance(
  name: string,
  makeHarness: () => Promise<CounterHarness>,
  options?: ConformanceOptions,
): void {
  registerScenarios(name, COUNTER_SCENARIOS, makeHarness, options);
}
