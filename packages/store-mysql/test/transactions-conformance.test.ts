import { transactionalStoreConformance } from "@kc/conformance";
import { SERVERS } from "./support/servers.ts";
import { transactionalHarness } from "./support/transactional-harness.ts";

// The form makes no difference to the server: each is tried on one, where there are two.
const FORMS = { MariaDB: "pool", MySQL: "connection" } as const;

for (const { name, address } of SERVERS) {
  const form = name === "MySQL" ? FORMS.MySQL : FORMS.MariaDB;
  transactionalStoreConformance(`MysqlStore's transactions on a ${form}, ${name}`, () =>
    transactionalHarness(form, address),
  );
}
