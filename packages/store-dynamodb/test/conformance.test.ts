import {
  leaseStoreConformance,
  runScenario,
  storeConformance,
  STORE_SCENARIOS,
} from "@kc/conformance";
import { describe, it } from "vitest";
import { applicationRow, scope } from "./support/fixture.ts";
import { dynamodbHarness } from "./support/harness.ts";

/** Most of its handles never open an application: their writes are transactions. */
storeConformance("DynamoDBStore", dynamodbHarness);
leaseStoreConformance("DynamoDBStore's leases", dynamodbHarness);

/** As in a consumer, which opens it first: a write is one UpdateItem. */
describe("DynamoDBStore whose application was opened", () => {
  const themes = new Set(["checkpoint", "ahead", "inside", "reset", "fence", "bulk", "concurrent"]);
  for (const scenario of STORE_SCENARIOS) {
    // Its size is proved above: here a write takes two requests instead of one.
    if (!themes.has(scenario.key.split(".")[0]!) || scenario.key === "bulk.thousand") continue;
    it(`${scenario.key}: ${scenario.title}`, () =>
      runScenario(scenario, async () => {
        const harness = await dynamodbHarness();
        const open = async (): ReturnType<typeof harness.open> => {
          const store = await harness.open();
          await store.openApplication(scope, applicationRow());
          return store;
        };
        return { ...harness, open };
      }));
  }
});
