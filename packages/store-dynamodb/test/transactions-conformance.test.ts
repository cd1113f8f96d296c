import {
  runScenario,
  TRANSACTIONAL_STORE_SCENARIOS,
  transactionalStoreConformance,
} from "@kc/conformance";
import { describe, it } from "vitest";
import { transactionalHarness } from "./support/transactional-harness.ts";

/** As in a consumer, which opens the application first. */
transactionalStoreConformance("DynamoDBStore's transactions", () => transactionalHarness(true));

/** Its transactions compare the lease and the claim in their own items. */
describe("DynamoDBStore's transactions of an application that was not opened", () => {
  for (const scenario of TRANSACTIONAL_STORE_SCENARIOS) {
    if (!/^(from|transact-(inside|fence)|commit)\./.test(scenario.key)) continue;
    it(`${scenario.key}: ${scenario.title}`, () =>
      runScenario(scenario, () => transactionalHarness(false) as never));
  }
});
