import { storeConformance } from "@kc/conformance";
import { startPgBouncer, type PgBouncerServer } from "@kc-internal/test-services";
import { afterAll, beforeAll, inject } from "vitest";
import { postgresHarness } from "./support/harness.ts";

/** All handles share three sessions, each lent for one transaction. */
let pooler: PgBouncerServer;

beforeAll(async () => {
  pooler = await startPgBouncer(inject("postgres"), { poolSize: 3 });
});

afterAll(() => pooler.close());

storeConformance("PostgresStore through PgBouncer in transaction mode", () =>
  postgresHarness("connection", pooler),
);
