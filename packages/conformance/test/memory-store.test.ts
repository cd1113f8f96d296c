import { MemoryStore, MemoryStoreData, type Store } from "@kc/core";
import { storeConformance, STORE_SCENARIOS, type StoreHarness } from "../src/index.ts";

async function memoryHarness(): Promise<StoreHarness> {
  const data = new MemoryStoreData();
  return {
    open: async (): Promise<Store> => new MemoryStore({ data }),
    openOnBorrowedClient: async () => ({
      store: new MemoryStore({ data }),
      clientWorks: async () => data.checkpoints.size > 0,
    }),
    async [Symbol.asyncDispose]() {
      data.checkpoints.clear();
    },
  };
}

const outages = STORE_SCENARIOS.filter(({ key }) => key.startsWith("outage."));

storeConformance("MemoryStore", memoryHarness, {
  knownGaps: Object.fromEntries(
    outages.map(({ key }) => [key, "memory has no connection that could break"]),
  ),
});
