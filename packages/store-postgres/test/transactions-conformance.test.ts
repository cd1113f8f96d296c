import { transactionalStoreConformance } from "@kc/conformance";
import { inject } from "vitest";
import { transactionalHarness } from "./support/transactional-harness.ts";

for (const form of ["pool", "connection"] as const) {
  transactionalStoreConformance(`PostgresStore's transactions on a ${form}`, () =>
    transactionalHarness(form, inject("postgres")),
  );
}
