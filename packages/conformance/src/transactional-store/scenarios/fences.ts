import { compareCheckpoints, type Fence } from "@kc/core";
import { expect } from "vitest";
import { onceRecovered } from "../../expectations.ts";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { effectsOf, expectEffects, grant, HELD, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

const NEXT: Fence = { epoch: 4, owner: "worker-b#1" };

/** Fences that are invalid while HELD is valid, and no fence. */
const LOST: readonly (Fence | undefined)[] = [
  { epoch: 2, owner: HELD.owner },
  { epoch: 4, owner: HELD.owner },
  { epoch: HELD.epoch, owner: "worker-a#2" },
  undefined,
];

const ROUNDS = 12;

const given = (fence: Fence | undefined) => (fence === undefined ? {} : { fence });

export const fenceScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "transact-fence.transact",
    title:
      "a held shard's transaction commits with its owner's fence and no other; without fences all do",
    async run({ harness }) {
      const store = await harness.open();
      const { fences } = store.capabilities;
      if (fences) await grant(harness, HELD);
      const write = writeOf(1, 3, { fence: HELD });
      const first = await transact(harness, store, write, { effects: effectsOf(1, 3) });
      expect(first.outcome, "the owner").toBe("committed");
      if (!fences) return;
      for (const fence of LOST) {
        const what = `the fence ${JSON.stringify(fence)}`;
        // 'already-done' must not hide that the lease is lost.
        for (const from of [4, 2]) {
          const batch = { effects: effectsOf(from, 6) };
          const answer = await transact(harness, store, writeOf(from, 6, given(fence)), batch);
          expect(answer, what).toStrictEqual({ outcome: "lease-lost" });
        }
      }
      expect(await store.getCheckpoint(SCOPE, SHARD), "what is stored").toStrictEqual(at(3));
      await expectEffects(harness, effectsOf(1, 3), "the owner's effects alone");
    },
  },
  {
    key: "transact-fence.nobody",
    title: "a fence of a shard that no worker holds is refused",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return;
      const write = writeOf(1, 3, { fence: HELD });
      const answer = await transact(harness, store, write, { effects: effectsOf(1, 3) });
      expect(answer).toStrictEqual({ outcome: "lease-lost" });
      await expectEffects(harness, [], "its effects");
      expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map());
    },
  },
  {
    key: "transact-fence.taken-over",
    title: "a worker whose shard is taken over in the midst of its transaction stores nothing",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      if (!store.capabilities.fences) return;
      await grant(harness, HELD);
      const zombie = await transact(harness, store, writeOf(1, 3, { fence: HELD }), {
        effects: effectsOf(1, 3),
        meanwhile: () => grant(harness, NEXT),
      });
      expect(zombie, "the worker that was replaced").toStrictEqual({ outcome: "lease-lost" });
      await expectEffects(harness, [], "its effects");
      const write = writeOf(1, 5, { fence: NEXT });
      const answer = await transact(harness, other, write, { effects: effectsOf(1, 5) });
      expect(answer.outcome, "the next owner").toBe("committed");
      await expectEffects(harness, effectsOf(1, 5), "the effects");
    },
  },
  {
    key: "transact-fence.race",
    title: "no transaction commits once the shard's next owner has read where to begin",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      if (!store.capabilities.fences) return;
      for (let round = 0; round < ROUNDS; round += 1) {
        const shardId = shard(round);
        await grant(harness, HELD, shardId);
        const effects = effectsOf(1, 3, shardId);
        const write = writeOf(1, 3, { fence: HELD, shardId });
        const running = onceRecovered(() => transact(harness, store, write, { effects }));
        // Delays the claim by this number of round trips, so that it happens at each point of the
        // transaction.
        for (let i = 0; i < round; i += 1) await other.getCheckpoint(SCOPE, shard(ROUNDS));
        await onceRecovered(() => grant(harness, NEXT, shardId));
        const seen = await other.getCheckpoint(SCOPE, shardId);
        const { outcome } = await running;
        const isSeen = seen !== undefined && compareCheckpoints(seen, at(3)) >= 0;
        const claim = `claimed after ${round} round trips; the next owner begins after ${isSeen ? 3 : 0}`;
        expect(outcome, claim).toBe(isSeen ? "committed" : "lease-lost");
        const stored = (await harness.effects()).filter((effect) => effects.includes(effect));
        expect(stored.toSorted(), claim).toStrictEqual(isSeen ? effects.toSorted() : []);
      }
    },
  },
];
