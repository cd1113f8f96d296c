import { transactionalStoreRandomRuns } from "@kc/conformance";
import { SERVERS } from "./support/servers.ts";
import { transactionalHarness } from "./support/transactional-harness.ts";

for (const { name, address } of SERVERS) {
  transactionalStoreRandomRuns(`MysqlStore's transactions on ${name}`, () =>
    transactionalHarness("pool", address),
  );
}
