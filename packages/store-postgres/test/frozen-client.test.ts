import { frozenClientConformance } from "@kc/conformance";
import { startPgBouncer, type PgBouncerServer } from "@kc-internal/test-services";
import { afterAll, beforeAll, inject } from "vitest";
import { frozenClientHarness } from "./support/harness.ts";

let pooler: PgBouncerServer;

beforeAll(async () => {
  pooler = await startPgBouncer(inject("postgres"), { poolSize: 3 });
});

afterAll(() => pooler.close());

frozenClientConformance("a client that stands still on Postgres", () =>
  frozenClientHarness(inject("postgres")),
);
frozenClientConformance("a client that stands still behind PgBouncer in transaction mode", () =>
  frozenClientHarness(pooler),
);
