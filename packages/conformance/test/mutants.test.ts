import { describe, expect, it } from "vitest";
import { runScenario, storeConformance, STORE_SCENARIOS } from "../src/index.ts";
import { aheadMutants } from "./mutants/ahead.ts";
import { checkpointMutants, resetMutants } from "./mutants/checkpoints.ts";
import { fenceMutants } from "./mutants/fence.ts";
import { insideMutants } from "./mutants/inside.ts";
import {
  abortMutants,
  closedMutants,
  disposeMutants,
  lateAbortMutants,
  outageMutants,
  setupMutants,
} from "./mutants/lifecycle.ts";
import { harnessMutants, manifestMutants } from "./mutants/manifest.ts";
import { applicationMutants, bulkMutants, concurrencyMutants } from "./mutants/rows.ts";
import { scopeMutants } from "./mutants/scope.ts";
import { joiningHarness } from "./support/joining-store.ts";
import { LeasingStore } from "./support/leasing-store.ts";
import { FencelessStore, referenceHarness } from "./support/reference-store.ts";

const MUTANTS = [
  harnessMutants,
  manifestMutants,
  checkpointMutants,
  aheadMutants,
  insideMutants,
  resetMutants,
  fenceMutants,
  bulkMutants,
  applicationMutants,
  scopeMutants,
  closedMutants,
  disposeMutants,
  abortMutants,
  lateAbortMutants,
  outageMutants,
  concurrencyMutants,
  setupMutants,
].flat();

storeConformance("the store that the mutants are made from", async () => referenceHarness());
storeConformance("the same with leases", async () => referenceHarness(LeasingStore));
storeConformance("the same without fences", async () => referenceHarness(FencelessStore));
storeConformance("the same on joined names", () => joiningHarness());

describe("mutants", () => {
  for (const { name, caughtBy, makeHarness } of MUTANTS) {
    for (const key of caughtBy) {
      it(`a store that ${name} fails in ${key}`, async () => {
        const scenario = STORE_SCENARIOS.find((candidate) => candidate.key === key);
        const run = runScenario(scenario!, makeHarness);
        // A failed expectation: a mutant that merely crashes proves nothing about the scenario.
        await expect(run).rejects.toMatchObject({ name: "AssertionError" });
      });
    }
  }

  it("leave no scenario without a mutant", () => {
    const caught = new Set(MUTANTS.flatMap(({ caughtBy }) => caughtBy));
    const idle = STORE_SCENARIOS.map(({ key }) => key).filter((key) => !caught.has(key));
    expect(idle).toStrictEqual([]);
  });
});
