import { expect } from "vitest";
import { expectStoreError, onceRecovered, rejection } from "../../expectations.ts";
import { applicationRow, at, SCOPE, SHARD } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";
import { OPERATION_NAMES, OPERATIONS } from "../operations.ts";

async function duringOutage(harness: StoreHarness, run: () => Promise<void>): Promise<void> {
  if (harness.breakConnection === undefined || harness.restore === undefined) {
    expect.fail("give the harness breakConnection() and restore(), or list this gap");
  }
  await harness.breakConnection();
  try {
    await run();
  } finally {
    await harness.restore();
  }
}

const outageTrait: readonly StoreScenario[] = OPERATION_NAMES.map((name) => ({
  key: `outage.${name}`,
  title: `${name} during an outage rejects with a retryable StoreError, and works after it`,
  async run({ harness }) {
    const store = await harness.open();
    await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(10) });
    await duringOutage(harness, async () => {
      const error = await rejection(OPERATIONS[name](store), `${name} during an outage`);
      expectStoreError(error, { retryable: true }, `${name} during an outage`);
    });
    await onceRecovered(() => OPERATIONS[name](store));
  },
}));

export const outageScenarios: readonly StoreScenario[] = [
  ...outageTrait,
  {
    key: "outage.nothing-lost",
    title: "what was acknowledged before an outage is there after it, on the same handle",
    async run({ harness }) {
      const store = await harness.open();
      const row = applicationRow();
      await store.openApplication(SCOPE, row);
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(10) });
      await duringOutage(harness, async () => {
        await rejection(store.getCheckpoint(SCOPE, SHARD), "a read during an outage");
      });
      const found = await onceRecovered(() => store.getCheckpoint(SCOPE, SHARD));
      expect(found).toStrictEqual(at(10));
      const answer = await store.openApplication(SCOPE, applicationRow());
      expect(answer).toStrictEqual({ outcome: "existing", row });
      const next = await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(11) });
      expect(next).toStrictEqual({ outcome: "written", stored: at(11) });
    },
  },
];
