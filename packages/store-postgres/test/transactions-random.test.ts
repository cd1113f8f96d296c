import { transactionalStoreRandomRuns } from "@kc/conformance";
import { inject } from "vitest";
import { transactionalHarness } from "./support/transactional-harness.ts";

transactionalStoreRandomRuns("PostgresStore's transactions", () =>
  transactionalHarness("pool", inject("postgres")),
);
