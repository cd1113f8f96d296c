import { describe, it } from "vitest";
import {
  checkKnownGaps,
  runKnownGap,
  runScenario,
  type KnownGaps,
  type Scenario,
} from "./scenario.ts";

export interface ConformanceOptions {
  /**
   * Scenarios that this adapter is known to fail, each with its reason. They must fail: the test of
   * a closed gap fails, and unknown keys and empty reasons are rejected. @default none
   */
  readonly knownGaps?: KnownGaps;
}

/** Registers a suite's scenarios with vitest, one `it` each. Called while tests are collected. */
export function registerScenarios<Harness extends AsyncDisposable>(
  name: string,
  scenarios: readonly Scenario<Harness>[],
  makeHarness: () => Promise<Harness>,
  options: ConformanceOptions = {},
): void {
  const knownGaps = options.knownGaps ?? {};
  checkKnownGaps(scenarios, knownGaps);
  describe(name, () => {
    for (const scenario of scenarios) {
      const { key, title } = scenario;
      const reason = knownGaps[key];
      if (reason === undefined) {
        it(`${key}: ${title}`, () => runScenario(scenario, makeHarness));
      } else {
        it(`${key}: known gap: ${reason}`, () => runKnownGap(scenario, makeHarness));
      }
    }
  });
}
