import { leaseStoreConformance, storeConformance } from "@kc/conformance";
import { mysqlHarness } from "./support/harness.ts";
import { SERVERS } from "./support/servers.ts";

const knownGaps = {
  "checkpoint.longest-numbers":
    "Go's column holds 65 digits; Kinesis's numbers have 56, and longer ones are refused",
};

// The form makes no difference to the server: a pool of the store's own on one is enough.
const [first] = SERVERS;
const forms = [
  ...SERVERS.map(({ name, address }) => ({ name, address, form: "pool" as const })),
  { ...first!, form: "connection" as const },
];
for (const { name, address, form } of forms) {
  const title = `${form === "pool" ? "a pool that was handed in" : "a pool of its own"}, ${name}`;
  const harness = () => mysqlHarness(address, form);
  storeConformance(title, harness, { knownGaps });
  leaseStoreConformance(title, harness);
}
