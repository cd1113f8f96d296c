import { KcError } from "@kc/core";
import { expect } from "vitest";
import { onceRecovered, rejection } from "../../expectations.ts";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { effectsOf, expectEffects, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

const WHERE = { ...SCOPE, shardId: SHARD };

export const committingScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "harness.effects",
    title: "two harnesses share no effects, and a repeat is an effect of its own",
    async run({ harness, make }) {
      const other = await make();
      for (const n of [1, 2]) {
        await transact(harness, await harness.open(), writeOf(n, n), { effects: ["one"] });
      }
      await expectEffects(harness, ["one", "one"], "an effect that was applied twice");
      await expectEffects(other, [], "the effects of another harness");
    },
  },
  {
    key: "transact.committed",
    title: "effects and checkpoint are there for all handles, and the work's value is answered",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      const first = await transact(harness, one, writeOf(1, 3), { effects: effectsOf(1, 3) });
      expect(first).toStrictEqual({ outcome: "committed", value: "done" });
      expect(await other.getCheckpoint(SCOPE, SHARD), "the checkpoint").toStrictEqual(at(3));
      await expectEffects(harness, effectsOf(1, 3), "the effects");
      const next = await transact(harness, other, writeOf(4, 9), { effects: effectsOf(4, 9) });
      expect(next).toStrictEqual({ outcome: "committed", value: "done" });
      expect(await one.getCheckpoint(SCOPE, SHARD), "the checkpoint").toStrictEqual(at(9));
      await expectEffects(harness, effectsOf(1, 9), "the effects");
    },
  },
  {
    key: "transact.nothing-written",
    title: "work that stores nothing is committed with its checkpoint",
    async run({ harness }) {
      const store = await harness.open();
      const answer = await transact(harness, store, writeOf(1, 3), { effects: [] });
      expect(answer).toStrictEqual({ outcome: "committed", value: "done" });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(3));
    },
  },
  {
    key: "transact.whole",
    title: "until it is committed nobody sees anything of a transaction",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      await transact(harness, store, writeOf(1, 3), {
        effects: effectsOf(1, 3),
        async meanwhile() {
          await expectEffects(harness, [], "effects before the commit");
          const stored = await other.getCheckpoint(SCOPE, SHARD);
          expect(stored, "the checkpoint before the commit").toBeUndefined();
        },
      });
      await expectEffects(harness, effectsOf(1, 3), "the effects");
    },
  },
  {
    key: "transact.failed-work",
    title: "what the work throws is thrown as it is, and nothing of it is stored",
    async run({ harness }) {
      const store = await harness.open();
      for (const thrown of [new Error("the handler's own"), "no error", undefined]) {
        const sync = store.transact(SCOPE, writeOf(1, 3), (tx) => {
          void harness.apply(tx, "sync", WHERE);
          throw thrown;
        });
        expect(await rejection(sync, "work that throws"), "what it rejects with").toBe(thrown);
        if (harness.worksSynchronously === true) continue;
        const rejecting = store.transact(SCOPE, writeOf(1, 3), async (tx) => {
          await harness.apply(tx, "async", WHERE);
          throw thrown;
        });
        const error = await rejection(rejecting, "work that rejects");
        expect(error, "what it rejects with").toBe(thrown);
      }
      await expectEffects(harness, [], "the effects of work that failed");
      expect(await store.getCheckpoint(SCOPE, SHARD), "its checkpoint").toBeUndefined();
    },
  },
  {
    key: "transact.refused",
    title:
      "what the database refuses of the work is the work's failure, and nothing of it is stored",
    async run({ harness }) {
      if (harness.refuse === undefined) return;
      const store = await harness.open();
      const work = (tx: unknown): void | Promise<void> => {
        const refused = harness.refuse!(tx, WHERE);
        if (harness.worksSynchronously === true) return void harness.apply(tx, "refused", WHERE);
        return Promise.resolve(refused).then(() => harness.apply(tx, "refused", WHERE));
      };
      const error = await rejection(store.transact(SCOPE, writeOf(1, 3), work), "refused work");
      expect(KcError.is(error), `it is the driver's error: ${String(error)}`).toBe(false);
      await expectEffects(harness, [], "the effects of refused work");
      expect(await store.getCheckpoint(SCOPE, SHARD), "its checkpoint").toBeUndefined();
    },
  },
  {
    key: "transact.after-failure",
    title: "a transaction that follows one that failed has nothing of it",
    async run({ harness }) {
      const store = await harness.open();
      for (let round = 0; round < 3; round += 1) {
        const failing = store.transact(SCOPE, writeOf(1, 3), (tx) => {
          void harness.apply(tx, "failed", WHERE);
          throw new Error("the handler failed");
        });
        await rejection(failing, "work that throws");
      }
      const answer = await transact(harness, store, writeOf(1, 3), { effects: effectsOf(1, 3) });
      expect(answer.outcome).toBe("committed");
      await expectEffects(harness, effectsOf(1, 3), "the effects");
    },
  },
  {
    key: "transact.shards",
    title: "transactions of several shards at once on one handle are each their own",
    async run({ harness }) {
      const store = await harness.open();
      const shards = [0, 1, 2, 3].map(shard);
      const answers = await Promise.all(
        shards.map((shardId, index) =>
          onceRecovered(() =>
            transact(harness, store, writeOf(1, index + 1, { shardId }), {
              effects: effectsOf(1, index + 1, shardId),
            }),
          ),
        ),
      );
      expect(answers.map(({ outcome }) => outcome)).toStrictEqual(shards.map(() => "committed"));
      const stored = await store.getCheckpoints(SCOPE);
      shards.forEach((shardId, index) => {
        expect(stored.get(shardId), shardId).toStrictEqual(at(index + 1));
      });
      const all = shards.flatMap((shardId, index) => effectsOf(1, index + 1, shardId));
      await expectEffects(harness, all, "the effects");
    },
  },
  {
    key: "transact.own-scope",
    title: "what another application or stream has stored of a shard with this id does not count",
    async run({ harness }) {
      const store = await harness.open();
      for (const scope of [
        { ...SCOPE, application: "audit" },
        { ...SCOPE, streamName: "returns" },
      ]) {
        await store.setCheckpoint(scope, { shardId: SHARD, checkpoint: at(9) });
      }
      const answer = await transact(harness, store, writeOf(1, 3), { effects: effectsOf(1, 3) });
      expect(answer.outcome).toBe("committed");
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(3));
    },
  },
];
