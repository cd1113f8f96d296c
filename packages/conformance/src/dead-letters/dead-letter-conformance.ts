import { registerScenarios, type ConformanceOptions } from "../register.ts";
import { collectScenarios } from "../scenario.ts";
import type { DeadLetterHarness, DeadLetterScenario } from "./harness.ts";
import { lifecycleScenarios } from "./lifecycle.ts";
import { readingScenarios } from "./reading.ts";
import { sendingScenarios } from "./sending.ts";

/** All scenarios of a DeadLetterQueue; those of the harness are first. */
export const DEAD_LETTER_SCENARIOS: readonly DeadLetterScenario[] = collectScenarios(
  sendingScenarios,
  lifecycleScenarios,
  readingScenarios,
);

/**
 * Registers the suite for a DeadLetterQueue. `makeHarness` is called again for each scenario.
 * @throws Error if `knownGaps` has a key that names no scenario, or an empty reason.
 */
export function deadLetterConformance(
  name: string,
  makeHarness: () => Promise<DeadLetterHarness>,
  options?: ConformanceOptions,
): void {
  registerScenarios(name, DEAD_LETTER_SCENARIOS, makeHarness, options);
}
