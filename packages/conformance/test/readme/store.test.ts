import {
  LEASE_STORE_SCENARIOS,
  leaseStoreConformance,
  STORE_SCENARIOS,
  storeConformance,
  type LeaseStoreHarness,
} from "@kc/conformance";
import { MemoryStore, MemoryStoreData } from "@kc/core";

/** A database of its own for each scenario. Here it is a Map; yours is a schema, a file, a prefix. */
async function makeHarness(): Promise<LeaseStoreHarness> {
  const data = new MemoryStoreData();
  return {
    open: async () => new MemoryStore({ data }),
    grantLease: async (scope, shardId, fence) => {
      Object.assign(data.shard(scope, shardId), fence);
    },
    openOnBorrowedClient: async () => ({
      store: new MemoryStore({ data }),
      clientWorks: async () => true, // a Map cannot be closed
    }),
    async [Symbol.asyncDispose]() {}, // and it goes with the scenario
  };
}

/** Memory has no connection that could break: these scenarios must fail. */
const outages = (scenarios: readonly { readonly key: string }[]): Record<string, string> =>
  Object.fromEntries(
    scenarios
      .filter(({ key }) => /^(lease-)?outage\./.test(key))
      .map(({ key }) => [key, "memory has no connection that could break"]),
  );

storeConformance("MemoryStore", makeHarness, { knownGaps: outages(STORE_SCENARIOS) });

// For a store that can share an application's shards among workers:
leaseStoreConformance("MemoryStore's leases", makeHarness, {
  knownGaps: outages(LEASE_STORE_SCENARIOS),
});
