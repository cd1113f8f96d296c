import { describe, expect, it } from "vitest";
import { LEASE_STORE_SCENARIOS, leaseStoreConformance, runScenario } from "../src/index.ts";
import { claimMutants } from "./mutants/claims.ts";
import { leaseApplicationMutants } from "./mutants/lease-application.ts";
import { leaseExtentMutants } from "./mutants/lease-extent.ts";
import { leaseInsideMutants } from "./mutants/lease-inside.ts";
import { leaseLifecycleMutants, leaseRestartMutants } from "./mutants/lease-lifecycle.ts";
import { leaseRaceMutants } from "./mutants/lease-races.ts";
import { shardMutants } from "./mutants/shards.ts";
import { workerMutants } from "./mutants/workers.ts";
import { leaseHarness } from "./support/reference-lease-store.ts";

const MUTANTS = [
  workerMutants,
  shardMutants,
  claimMutants,
  leaseRaceMutants,
  leaseInsideMutants,
  leaseExtentMutants,
  leaseApplicationMutants,
  leaseLifecycleMutants,
  leaseRestartMutants,
].flat();

leaseStoreConformance("the lease store that the mutants are made from", () => leaseHarness());

describe("lease mutants", () => {
  for (const { name, caughtBy, makeHarness } of MUTANTS) {
    for (const key of caughtBy) {
      it(`a store that ${name} fails in ${key}`, async () => {
        const scenario = LEASE_STORE_SCENARIOS.find((candidate) => candidate.key === key);
        const run = runScenario(scenario!, makeHarness);
        // A failed expectation: a mutant that merely crashes proves nothing about the scenario.
        await expect(run).rejects.toMatchObject({ name: "AssertionError" });
      });
    }
  }

  it("leave no scenario without a mutant", () => {
    const caught = new Set(MUTANTS.flatMap(({ caughtBy }) => caughtBy));
    const idle = LEASE_STORE_SCENARIOS.map(({ key }) => key).filter((key) => !caught.has(key));
    expect(idle).toStrictEqual([]);
  });
});
