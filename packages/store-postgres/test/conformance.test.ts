import { leaseStoreConformance, storeConformance } from "@kc/conformance";
import { inject } from "vitest";
import { postgresHarness } from "./support/harness.ts";

/** One form has a connection for LISTEN, and so a watch; the other has none. */
const FORMS = [
  ["PostgresStore on a pool of one", "pool", undefined],
  ["PostgresStore on a connection", "connection", "listening"],
] as const;

for (const [name, form, listening] of FORMS) {
  const harness = () => {
    const server = inject("postgres");
    return postgresHarness(form, server, listening && server.connectionString);
  };
  storeConformance(name, harness);
  leaseStoreConformance(name, harness);
}
