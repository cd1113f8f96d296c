import type { TransactionalWrite } from "@kc/core";
import { expect } from "vitest";
import { letterAt } from "../../dead-letters/fixtures.ts";
import { rejection } from "../../expectations.ts";
import { at, SCOPE, SHARD } from "../../store/fixtures.ts";
import {
  checkpointIn,
  effectsOf,
  expectEffects,
  grant,
  HELD,
  inOwn,
  transact,
  writeOf,
} from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

export const ownTransactionScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "own.committed",
    title: "a checkpoint in the user's own transaction is there once that is committed",
    async run({ harness }) {
      const store = await harness.open();
      if (store.checkpointIn === undefined) return;
      const answer = await inOwn(harness, store, writeOf(1, 3), effectsOf(1, 3), "commit");
      expect(answer).toStrictEqual({ outcome: "written" });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(3));
      await expectEffects(harness, effectsOf(1, 3), "the effects");
    },
  },
  {
    key: "own.rolled-back",
    title: "a checkpoint in the user's own transaction goes with it when that is rolled back",
    async run({ harness }) {
      const store = await harness.open();
      if (store.checkpointIn === undefined) return;
      const answer = await inOwn(harness, store, writeOf(1, 3), effectsOf(1, 3), "rollback");
      expect(answer).toStrictEqual({ outcome: "written" });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
      await expectEffects(harness, [], "the effects");
      const again = await inOwn(harness, store, writeOf(1, 3), effectsOf(1, 3), "commit");
      expect(again).toStrictEqual({ outcome: "written" });
    },
  },
  {
    key: "own.refused",
    title: "in the user's own transaction work that is done, or a lost fence, is answered",
    async run({ harness }) {
      const store = await harness.open();
      if (store.checkpointIn === undefined) return;
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(8) });
      const done = await inOwn(harness, store, writeOf(5, 12), effectsOf(5, 12), "commit");
      expect(done).toStrictEqual({ outcome: "already-done", stored: at(8) });
      if (store.capabilities.fences) {
        await grant(harness, HELD);
        const lost = await inOwn(harness, store, writeOf(9, 12), effectsOf(9, 12), "commit");
        expect(lost).toStrictEqual({ outcome: "lease-lost" });
        const held = writeOf(9, 12, { fence: HELD });
        const answer = await inOwn(harness, store, held, effectsOf(9, 12), "commit");
        expect(answer).toStrictEqual({ outcome: "written" });
        await expectEffects(harness, effectsOf(9, 12), "the effects");
      } else await expectEffects(harness, [], "the effects");
    },
  },
  {
    key: "own.over",
    title: "outside of a transaction, or once it is over, a checkpoint is refused as misuse",
    async run({ harness }) {
      const store = await harness.open();
      if (store.checkpointIn === undefined || harness.begin === undefined) return;
      const own = await harness.begin();
      await own.rollback();
      const call = checkpointIn(store, own.executor, writeOf(1, 3));
      const error = await rejection(call, "a checkpoint outside of a transaction");
      expect(error).toMatchObject({ code: "TRANSACTION_MISUSED", retryable: false });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
    },
  },
  {
    key: "letters.in-transaction",
    title: "letters in a transaction are held if it is committed, and only then",
    async run({ harness }) {
      const store = await harness.open();
      const table = await harness.letters?.(store);
      if (table === undefined) return;
      const letters = [letterAt(0), letterAt(1)];
      const put = (write: TransactionalWrite, end: () => void = () => {}) =>
        store.transact(SCOPE, write, (tx) => {
          const sent = table.sendIn(tx, letters);
          if (harness.worksSynchronously === true) return end();
          return Promise.resolve(sent).then(end);
        });
      const thrown = new Error("the handler's own");
      const failing = put(writeOf(1, 1), () => {
        throw thrown;
      });
      expect(await rejection(failing, "work that throws")).toBe(thrown);
      expect((await table.list()).letters, "after work that failed").toStrictEqual([]);
      expect((await put(writeOf(1, 1))).outcome).toBe("committed");
      const ids = (await table.list()).letters.map(({ id }) => id);
      expect(ids.toSorted(), "after the commit").toStrictEqual(
        letters.map(({ id }) => id).toSorted(),
      );
      await table.remove(ids);
      expect((await put(writeOf(1, 1))).outcome, "once more").toBe("already-done");
      expect((await table.list()).letters, "work that is done").toStrictEqual([]);
      const next = await transact(harness, store, writeOf(2, 2), { effects: [] });
      expect(next.outcome).toBe("committed");
    },
  },
];
