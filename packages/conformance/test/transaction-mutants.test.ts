import { describe, expect, it } from "vitest";
import {
  runScenario,
  transactionalStoreConformance,
  TRANSACTIONAL_STORE_SCENARIOS,
} from "../src/index.ts";
import { messageScenarios } from "../src/transactional-store/scenarios/messages.ts";
import { TRANSACTIONAL_MUTANTS } from "./mutants/transactions.ts";
import { transactionalHarness } from "./support/reference-transactions.ts";

const ELSEWHERE = "it has no server: message-mutants.test.ts has a store with one";
const messages = messageScenarios.map(({ key }) => key);

transactionalStoreConformance(
  "the store that the mutants are made from",
  async () => transactionalHarness(),
  { knownGaps: Object.fromEntries(messages.map((key) => [key, ELSEWHERE])) },
);

describe("mutants", () => {
  for (const { name, caughtBy, makeHarness } of TRANSACTIONAL_MUTANTS) {
    for (const key of caughtBy) {
      it(`a store that ${name} fails in ${key}`, async () => {
        const scenario = TRANSACTIONAL_STORE_SCENARIOS.find((candidate) => candidate.key === key);
        const run = runScenario(scenario!, makeHarness);
        await expect(run).rejects.toMatchObject({ name: "AssertionError" });
      });
    }
  }

  it("leave no scenario without a mutant", () => {
    const caught = new Set(TRANSACTIONAL_MUTANTS.flatMap(({ caughtBy }) => caughtBy));
    const keys = TRANSACTIONAL_STORE_SCENARIOS.map(({ key }) => key);
    expect(keys.filter((key) => !caught.has(key))).toStrictEqual(messages);
  });
});
