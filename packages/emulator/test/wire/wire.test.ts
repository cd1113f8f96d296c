import { NoFerrokinesisError } from "@kc-internal/test-services";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { knownDivergences } from "./known-divergences.ts";
import { readingScenarios } from "./reading-scenarios.ts";
import { recordScenarios } from "./record-scenarios.ts";
import { reshardingScenarios } from "./resharding-scenarios.ts";
import type { Scenarios } from "./scenario.ts";
import { settingsScenarios } from "./settings-scenarios.ts";
import { streamScenarios } from "./stream-scenarios.ts";
import { type Target, type TargetName, targets } from "./targets.ts";

const scenarios: Scenarios = {
  ...streamScenarios,
  ...recordScenarios,
  ...readingScenarios,
  ...reshardingScenarios,
  ...settingsScenarios,
};

describe.each(Object.keys(targets) as TargetName[])("%s", (name) => {
  const known = knownDivergences[name] ?? {};
  let target: Target | undefined;
  let absent: string | undefined;
  beforeAll(async () => {
    try {
      target = await targets[name]();
    } catch (error) {
      if (!(error instanceof NoFerrokinesisError)) throw error;
      console.warn(error.message);
      absent = error.message;
    }
  });
  beforeEach((context) => context.skip(absent !== undefined, absent));
  afterAll(() => target?.close());

  it("has no divergence listed that is no scenario's", () => {
    expect(Object.keys(scenarios)).toEqual(expect.arrayContaining(Object.keys(known)));
  });

  for (const [key, scenario] of Object.entries(scenarios)) {
    const divergence = known[key];
    if (divergence === undefined) {
      it(key, () => scenario(target!));
    } else {
      it(`diverges: ${key} (${divergence.reason})`, async () => {
        const outcome = await scenario(target!).then(
          () => "it passes now: take it off the list of known divergences",
          String,
        );
        expect(outcome).toMatch(divergence.failsWith);
      });
    }
  }
});
