import { expect } from "vitest";
import { expectStoreError, rejection } from "../../expectations.ts";
import { SCOPE, shard } from "../../store/fixtures.ts";
import { expectEffects, writeOf } from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

export const conflictScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "conflict.deadlock",
    title: "of two transactions that wait for one another one is to be run again, as a whole",
    async run({ harness }) {
      if (harness.lock === undefined) return;
      const stores = [await harness.open(), await harness.open()];
      let bothHave = (): void => {};
      const both = new Promise<void>((resolve) => (bothHave = resolve));
      let having = 0;
      const answers = await Promise.allSettled(
        stores.map((store, index) => {
          const [own, other] = [shard(index), shard(1 - index)];
          return store.transact(SCOPE, writeOf(1, 3, { shardId: own }), async (tx) => {
            await harness.apply(tx, own, { ...SCOPE, shardId: own });
            await harness.lock!(tx, own);
            having += 1;
            if (having === 2) bothHave();
            await both;
            await harness.lock!(tx, other);
          });
        }),
      );
      const isStored = answers.map(({ status }) => status === "fulfilled");
      expect(isStored.toSorted(), "one of both is stored").toStrictEqual([false, true]);
      const failed = answers.find(({ status }) => status === "rejected");
      expectStoreError(Object(failed).reason, { retryable: true }, "the other one");
      await expectEffects(harness, [shard(isStored.indexOf(true))], "the effects");
    },
  },
  {
    key: "conflict.elsewhere",
    title: "a conflict that the work has met in another database is the work's own failure",
    async run({ harness }) {
      if (harness.conflict === undefined) return;
      const store = await harness.open();
      const conflict = harness.conflict();
      let calls = 0;
      const call = store.transact(SCOPE, writeOf(1, 3), () => {
        calls += 1;
        throw conflict;
      });
      expect(await rejection(call, "work that met a conflict")).toBe(conflict);
      expect(calls, "calls of the work").toBe(1);
    },
  },
];
