import { KcError, type Fence, type Store } from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { at, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";

const HELD: Fence = { epoch: 3, owner: "worker-a#1" };

/** Fences other than the one above, and no fence. */
const LOST: readonly (Fence | undefined)[] = [
  { epoch: 2, owner: HELD.owner },
  { epoch: 4, owner: HELD.owner },
  { epoch: HELD.epoch, owner: "worker-a#2" },
  undefined,
];

function write(n: number, fence: Fence | undefined, shardId = SHARD) {
  const checkpoint = at(n);
  return fence === undefined ? { shardId, checkpoint } : { shardId, checkpoint, fence };
}

async function grant(harness: StoreHarness, shardId = SHARD, fence = HELD): Promise<void> {
  if (harness.grantLease === undefined) {
    expect.fail("a store with fences needs the harness's grantLease(): give it, or list this gap");
  }
  await harness.grantLease(SCOPE, shardId, fence);
}

async function expectLeaseLost(call: Promise<unknown>, what: string): Promise<void> {
  const error = await rejection(call, what);
  expect(KcError.is(error) && error.code, `the code of ${String(error)}`).toBe("LEASE_LOST");
}

/** The alternative: a store without fences treats every write as one without a fence. */
async function expectIgnored(store: Store): Promise<void> {
  for (const [index, fence] of [HELD, ...LOST].entries()) {
    const stored = at(index);
    const answer = store.setCheckpoint(SCOPE, write(index, fence));
    await expect(answer, "a fence is ignored").resolves.toStrictEqual({
      outcome: "written",
      stored,
    });
    const answers = store.setCheckpoints(SCOPE, [write(index, fence, shard(1))]);
    await expect(answers, "a fence is ignored in bulk").resolves.toStrictEqual([
      { outcome: "written", stored },
    ]);
  }
}

export const fenceScenarios: readonly StoreScenario[] = [
  {
    key: "fence.nobody",
    title:
      "a store with fences refuses a fence that no worker holds; a store without them ignores it",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return expectIgnored(store);
      await expectLeaseLost(
        store.setCheckpoint(SCOPE, write(1, HELD)),
        "a fence that no worker holds",
      );
      const answers = await store.setCheckpoints(SCOPE, [write(1, HELD, shard(1))]);
      expect(answers, "in bulk").toStrictEqual([{ outcome: "lease-lost" }]);
      expect(await store.getCheckpoints(SCOPE), "nothing is written").toStrictEqual(new Map());
    },
  },
  {
    key: "fence.held",
    title: "a held shard is written with its owner's fence, epoch and incarnation, and no other",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return expectIgnored(store);
      await grant(harness);
      expect(await store.setCheckpoint(SCOPE, write(1, HELD))).toStrictEqual({
        outcome: "written",
        stored: at(1),
      });
      for (const fence of LOST) {
        const what = `a write with the fence ${JSON.stringify(fence)}`;
        await expectLeaseLost(store.setCheckpoint(SCOPE, write(2, fence)), what);
        // Neither 'same' nor 'behind' may hide that the lease is lost.
        await expectLeaseLost(store.setCheckpoint(SCOPE, write(1, fence)), what);
      }
      expect(await store.getCheckpoint(SCOPE, SHARD), "what stands").toStrictEqual(at(1));
      expect(await store.setCheckpoint(SCOPE, write(1, HELD))).toStrictEqual({
        outcome: "same",
        stored: at(1),
      });
    },
  },
  {
    key: "fence.bulk",
    title: "in bulk a lost fence is an outcome of its own write, and the others are done",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return expectIgnored(store);
      await grant(harness, shard(1));
      await grant(harness, shard(2));
      const answers = store.setCheckpoints(SCOPE, [
        write(5, undefined, shard(0)),
        write(5, { epoch: 2, owner: HELD.owner }, shard(1)),
        write(5, HELD, shard(2)),
      ]);
      await expect(answers).resolves.toStrictEqual([
        { outcome: "written", stored: at(5) },
        { outcome: "lease-lost" },
        { outcome: "written", stored: at(5) },
      ]);
      expect(await store.getCheckpoint(SCOPE, shard(1)), "a lost fence").toBeUndefined();
      expect(await store.getCheckpoint(SCOPE, shard(2)), "a held one").toStrictEqual(at(5));
    },
  },
  {
    key: "fence.reset",
    title: "a held shard is reset by force alone, which fences its owner out",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return expectIgnored(store);
      await grant(harness);
      await store.setCheckpoint(SCOPE, write(10, HELD));
      for (const to of [at(5), undefined]) {
        await expectLeaseLost(store.resetCheckpoint(SCOPE, SHARD, to), "a reset of a held shard");
      }
      expect(await store.getCheckpoint(SCOPE, SHARD), "after refusals").toStrictEqual(at(10));
      for (const to of [at(5), undefined]) {
        await store.resetCheckpoint(SCOPE, SHARD, to, { force: true });
        expect(await store.getCheckpoint(SCOPE, SHARD), "by force").toStrictEqual(to);
        await expectLeaseLost(store.setCheckpoint(SCOPE, write(11, HELD)), "the fence of before");
      }
      expect(await store.setCheckpoint(SCOPE, write(6, undefined)), "it is free").toStrictEqual({
        outcome: "written",
        stored: at(6),
      });
    },
  },
];
