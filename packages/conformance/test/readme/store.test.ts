import { storeConformance, type StoreHarness } from "@kc/conformance";
import { MemoryStore, MemoryStoreData } from "@kc/core";

/** A database of its own for each scenario. Here it is a Map; yours is a schema, a file, a prefix. */
async function makeHarness(): Promise<StoreHarness> {
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
    async [Symbol.asyncDispose]() {
      data.applications.clear();
    },
  };
}

const reason = "memory has no connection that could break";

storeConformance("MemoryStore", makeHarness, {
  knownGaps: {
    "outage.openApplication": reason,
    "outage.getCheckpoint": reason,
    "outage.getCheckpoints": reason,
    "outage.setCheckpoint": reason,
    "outage.setCheckpoints": reason,
    "outage.resetCheckpoint": reason,
    "outage.nothing-lost": reason,
  },
});
