import { storeConformance } from "@kc/conformance";
import { mysqlHarness } from "./support/harness.ts";
import { SERVERS } from "./support/servers.ts";

const knownGaps = {
  "checkpoint.longest-numbers":
    "Go's column holds 65 digits; Kinesis's numbers have 56, and longer ones are refused",
};

for (const { name, address } of SERVERS) {
  storeConformance(`a pool that was handed in, ${name}`, () => mysqlHarness(address, "pool"), {
    knownGaps,
  });
}

// The form makes no difference to the server: one is enough.
const { name, address } = SERVERS[0]!;
storeConformance(`a pool of its own, ${name}`, () => mysqlHarness(address, "connection"), {
  knownGaps,
});
