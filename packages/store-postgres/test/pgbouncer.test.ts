import { leaseStoreConformance, storeConformance } from "@kc/conformance";
import { startPgBouncer, type PgBouncerServer } from "@kc-internal/test-services";
import { afterAll, beforeAll, inject } from "vitest";
import { postgresHarness } from "./support/harness.ts";

/** All handles share three sessions, each lent for one transaction. */
let pooler: PgBouncerServer;

beforeAll(async () => {
  pooler = await startPgBouncer(inject("postgres"), { poolSize: 3 });
});

afterAll(() => pooler.close());

const NAME = "PostgresStore through PgBouncer in transaction mode";
const harness = () => postgresHarness("connection", pooler, inject("postgres").connectionString);
storeConformance(NAME, harness);
leaseStoreConformance(NAME, harness);
