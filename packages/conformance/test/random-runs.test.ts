import { describe, expect, it } from "vitest";
import { transactionalStoreRandomRuns } from "../src/index.ts";
import { randomRuns } from "../src/transactional-store/runs/random-runs.ts";
import { TRANSACTIONAL_MUTANTS } from "./mutants/transactions.ts";
import { transactionalHarness } from "./support/reference-transactions.ts";

transactionalStoreRandomRuns("the store that the mutants are made from", async () =>
  transactionalHarness(),
);

/** What stores each effect once where nothing happens, and not where much does. */
const FOUND = [
  "is monotonic and nothing more",
  "stores again what is done",
  "takes what is done for committed",
  "judges before the work",
  "holds no lock until the commit",
  "takes a commit that was not answered for a success",
  "runs a commit that was not answered again by itself",
  "commits the checkpoint before the work",
  "commits the checkpoint in a transaction of its own after the effects'",
  "commits what failing work has written",
];

describe("mutants", () => {
  it.each(FOUND)("random runs find a store that %s", async (name) => {
    const { makeHarness } = TRANSACTIONAL_MUTANTS.find((mutant) => mutant.name === name)!;
    await expect(randomRuns(makeHarness, 60, 1)).rejects.toMatchObject({ name: "AssertionError" });
  });
});
