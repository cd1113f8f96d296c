import { transactionalStoreConformance } from "@kc/conformance";
import { transactionalHarness } from "./support/transactional-harness.ts";

for (const form of ["connection", "client of ioredis 5"] as const) {
  transactionalStoreConformance(`RedisStore's transactions on a ${form}`, () =>
    transactionalHarness(form),
  );
}
