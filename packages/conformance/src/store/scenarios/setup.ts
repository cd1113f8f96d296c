import { expect } from "vitest";
import { expectStoreError, rejection } from "../../expectations.ts";
import { applicationRow, at, SCOPE, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";

export const setupScenarios: readonly StoreScenario[] = [
  {
    key: "setup.again",
    title: "setup() on a schema in use changes nothing; a store without setup() needs none",
    async run({ harness }) {
      const store = await harness.open();
      await store.openApplication(SCOPE, applicationRow());
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      for (const time of ["first", "second"]) {
        const done = store.setup?.() ?? Promise.resolve();
        await expect(done, `setup(), ${time} time`).resolves.toBeUndefined();
      }
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
      const { outcome } = await store.openApplication(SCOPE, applicationRow());
      expect(outcome, "the application row is kept").toBe("existing");
    },
  },
  {
    key: "setup.at-once",
    title: "setup() by several processes at once succeeds for each",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      const calls = [...stores, ...stores].map((store) => store.setup?.() ?? Promise.resolve());
      await expect(Promise.all(calls), "setup(), six at once").resolves.toHaveLength(6);
      const answer = await stores[0]!.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      expect(answer).toStrictEqual({ outcome: "written", stored: at(1) });
    },
  },
  {
    key: "setup.refused",
    title: "setup() ends with an aborted signal, and rejects with STORE_CLOSED after dispose",
    async run({ harness }) {
      const store = await harness.open();
      // The alternative: a store without `setup` has nothing to refuse.
      if (store.setup === undefined) return;
      const reason = new Error("the caller's own reason");
      const aborted = store.setup({ signal: AbortSignal.abort(reason) });
      expect(await rejection(aborted, "setup() with an aborted signal")).toBe(reason);
      await store[Symbol.asyncDispose]();
      const closed = await rejection(store.setup(), "setup() after dispose");
      expectStoreError(closed, { code: "STORE_CLOSED", retryable: false }, "setup() after dispose");
    },
  },
];
