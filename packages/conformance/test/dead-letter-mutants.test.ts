import { describe, expect, it } from "vitest";
import { deadLetterConformance, DEAD_LETTER_SCENARIOS, runScenario } from "../src/index.ts";
import { DEAD_LETTER_MUTANTS } from "./mutants/dead-letters.ts";
import { deadLetterHarness } from "./support/reference-dead-letters.ts";

deadLetterConformance("the queue that the mutants are made from", async () => deadLetterHarness());

describe("mutants", () => {
  for (const { name, caughtBy, makeHarness } of DEAD_LETTER_MUTANTS) {
    for (const key of caughtBy) {
      it(`a queue that ${name} fails in ${key}`, async () => {
        const scenario = DEAD_LETTER_SCENARIOS.find((candidate) => candidate.key === key);
        const run = runScenario(scenario!, makeHarness);
        await expect(run).rejects.toMatchObject({ name: "AssertionError" });
      });
    }
  }

  it("leave no scenario without a mutant", () => {
    const caught = new Set(DEAD_LETTER_MUTANTS.flatMap(({ caughtBy }) => caughtBy));
    const idle = DEAD_LETTER_SCENARIOS.map(({ key }) => key).filter((key) => !caught.has(key));
    expect(idle).toStrictEqual([]);
  });
});
