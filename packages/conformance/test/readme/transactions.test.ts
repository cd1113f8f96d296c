import {
  TRANSACTIONAL_STORE_SCENARIOS,
  transactionalStoreConformance,
  type TransactionalStoreHarness,
} from "@kc/conformance";
import { MemoryStore, MemoryStoreData, MemoryTransaction } from "@kc/core";

/** Effects are names in a list: in a database, rows of a table without a unique key. */
async function makeHarness(): Promise<TransactionalStoreHarness<MemoryTransaction>> {
  const data = new MemoryStoreData();
  const effects: string[] = [];
  return {
    open: async () => new MemoryStore({ data }),
    apply: (tx, effect) => tx.add(() => effects.push(effect)),
    effects: async () => [...effects],
    grantLease: async (scope, shardId, fence) => {
      Object.assign(data.shard(scope, shardId), fence);
    },
    async begin() {
      const tx = new MemoryTransaction();
      const [commit, rollback] = [async () => tx.commit(), async () => tx.rollback()];
      return { executor: tx, tx, commit, rollback };
    },
    misuses: { commit: (tx) => tx.commit(), rollback: (tx) => tx.rollback() },
    refuse: (tx) =>
      tx.guard(() => {
        throw new Error("refused");
      }),
    async [Symbol.asyncDispose]() {},
  };
}

/** Memory has no connection that could break: these scenarios must fail. */
const broken = TRANSACTIONAL_STORE_SCENARIOS.filter(({ key }) =>
  /^transact-outage\.|^message\.|cut/.test(key),
).map(({ key }) => [key, "memory has no connection that could break"]);

transactionalStoreConformance("MemoryStore's transactions", makeHarness, {
  knownGaps: Object.fromEntries(broken),
});
