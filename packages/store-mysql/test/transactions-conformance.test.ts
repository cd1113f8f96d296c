import { transactionalStoreConformance } from "@kc/conformance";
import { SERVERS } from "./support/servers.ts";
import { transactionalHarness } from "./support/transactional-harness.ts";

for (const { name, address } of SERVERS) {
  for (const form of ["pool", "connection"] as const) {
    transactionalStoreConformance(`MysqlStore's transactions on a ${form}, ${name}`, () =>
      transactionalHarness(form, address),
    );
  }
}
