import { frozenClientConformance } from "@kc/conformance";
import { frozenClientHarness } from "./support/harness.ts";
import { SERVERS } from "./support/servers.ts";

for (const { name, address } of SERVERS) {
  frozenClientConformance(`a client that stands still on ${name}`, () =>
    frozenClientHarness(address),
  );
}
