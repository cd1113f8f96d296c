import { storeConformance } from "@kc/conformance";
import { inject } from "vitest";
import { postgresHarness } from "./support/harness.ts";

storeConformance("PostgresStore on a pool of one", () =>
  postgresHarness("pool", inject("postgres")),
);
storeConformance("PostgresStore on a connection", () =>
  postgresHarness("connection", inject("postgres")),
);
