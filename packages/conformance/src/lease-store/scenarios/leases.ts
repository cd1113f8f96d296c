import { ownerOf } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { A, acquire, B, byShard, given, leases, LINEAGE, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

const NEVER_HELD = { owner: undefined, epoch: 0, checkpoint: undefined, lineage: LINEAGE };

export const leaseScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "shards.put",
    title: "rows of shards are made free and never held; their lineage can be replaced",
    async run({ harness }) {
      const store = await harness.open();
      expect(await store.listLeases(SCOPE)).toStrictEqual({ revision: 0, leases: [] });
      await given(store, [A], [shard(0), shard(1)]);
      expect(await leases(store)).toStrictEqual([
        { shardId: shard(0), ...NEVER_HELD },
        { shardId: shard(1), ...NEVER_HELD },
      ]);
      await acquire(store, A, shard(0));
      const lineage = `{"parents":["é'\\"$"],"n":1}`;
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage }]);
      expect((await leases(store))[0], "a held one").toStrictEqual({
        shardId: shard(0),
        owner: ownerOf(A),
        epoch: 1,
        checkpoint: undefined,
        lineage,
      });
    },
  },
  {
    key: "shards.checkpoint",
    title: "a lease is listed with its shard's checkpoint; a checkpoint alone is no lease",
    async run({ harness }) {
      const store = await harness.open();
      await store.setCheckpoint(SCOPE, { shardId: shard(0), checkpoint: at(3, 4) });
      await store.setCheckpoint(SCOPE, { shardId: shard(1), checkpoint: { kind: "shard-end" } });
      expect(await leases(store), "without rows").toStrictEqual([]);
      await given(store, [], [shard(0), shard(1)]);
      expect(await leases(store)).toStrictEqual([
        { shardId: shard(0), ...NEVER_HELD, checkpoint: at(3, 4) },
        { shardId: shard(1), ...NEVER_HELD, checkpoint: { kind: "shard-end" } },
      ]);
    },
  },
  {
    key: "shards.remove",
    title: "free shards are removed with their checkpoints, dead owners' too; a held one stays",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1), shard(2), shard(3)]);
      for (const index of [0, 3]) {
        await store.setCheckpoint(SCOPE, { shardId: shard(index), checkpoint: at(index) });
      }
      await acquire(store, A, shard(1));
      const [held] = await acquire(store, B, shard(2));
      await store.setCheckpoint(SCOPE, {
        shardId: shard(2),
        checkpoint: at(2),
        fence: held!.fence,
      });
      await store.leaveWorker(SCOPE, A);
      const gone = [shard(0), shard(1), shard(2), shard(9)];
      await store.removeShards(SCOPE, gone);
      await store.removeShards(SCOPE, gone);
      const left = (await leases(store)).map(({ shardId }) => shardId);
      expect(left).toStrictEqual([shard(2), shard(3)]);
      expect(await store.getCheckpoints(SCOPE)).toStrictEqual(
        new Map([2, 3].map((index) => [shard(index), at(index)])),
      );
      await given(store, [], [shard(0)]);
      expect((await leases(store))[0], "made anew").toStrictEqual({
        shardId: shard(0),
        ...NEVER_HELD,
      });
    },
  },
  {
    key: "acquire.free",
    title: "a free lease goes to who claims it, with the next epoch and the shard's checkpoint",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1)]);
      await store.setCheckpoint(SCOPE, { shardId: shard(1), checkpoint: at(5) });
      const owner = ownerOf(A);
      const acquired = await acquire(store, A, shard(0), shard(1));
      expect(acquired).toStrictEqual([
        { shardId: shard(0), fence: { epoch: 1, owner }, checkpoint: undefined },
        { shardId: shard(1), fence: { epoch: 1, owner }, checkpoint: at(5) },
      ]);
      await store.releaseLeases(SCOPE, acquired);
      const [next] = await acquire(store, B, shard(1));
      expect(next?.fence).toStrictEqual({ epoch: 2, owner: ownerOf(B) });
      expect((await leases(store)).map((row) => row.owner)).toStrictEqual([undefined, ownerOf(B)]);
    },
  },
  {
    key: "acquire.live",
    title: "a live worker's lease is never taken; the others of the call are",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1)]);
      const [held] = await acquire(store, A, shard(0));
      const got = await acquire(store, B, shard(0), shard(1));
      expect(got.map(({ shardId }) => shardId)).toStrictEqual([shard(1)]);
      expect((await leases(store))[0]).toMatchObject(held!.fence);
    },
  },
  {
    key: "acquire.again",
    title: "a lease that this incarnation holds is answered as it stands: a reply may be lost",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A], [SHARD]);
      const first = await acquire(store, A, SHARD);
      const checkpoint = at(8);
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint, fence: first[0]!.fence });
      expect(await acquire(store, A, SHARD)).toStrictEqual([{ ...first[0], checkpoint }]);
    },
  },
  {
    key: "acquire.dead",
    title: "a worker without a row gets nothing, under its id's new incarnation neither",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [], [SHARD]);
      expect(await acquire(store, A, SHARD), "it never joined").toStrictEqual([]);
      await given(store, [worker(A.workerId, 2)]);
      expect(await acquire(store, A, SHARD), "another has its id").toStrictEqual([]);
      expect((await leases(store))[0]).toMatchObject({ owner: undefined, epoch: 0 });
    },
  },
  {
    key: "acquire.unknown",
    title: "a shard without a row is passed over, and none is made",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A]);
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      expect(await acquire(store, A, SHARD, shard(1))).toStrictEqual([]);
      expect(await leases(store)).toStrictEqual([]);
    },
  },
  {
    key: "acquire.race",
    title: "workers that claim the same shards at once get each of them once",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      const workers = stores.map((_, index) => worker(`racer-${index}`));
      const shardIds = Array.from({ length: 24 }, (_, index) => shard(index));
      await given(stores[0]!, workers, shardIds);
      for (let round = 1; round <= 5; round += 1) {
        const got = await Promise.all(
          stores.map((store, index) => {
            const wanted = index % 2 === 0 ? shardIds : shardIds.toReversed();
            return store.acquireLeases(SCOPE, workers[index]!, wanted);
          }),
        );
        const all = byShard(got.flat());
        expect(all.map(({ shardId }) => shardId)).toStrictEqual(shardIds);
        for (const { shardId, fence } of all) expect(fence.epoch, shardId).toBe(round);
        const stand = (await leases(stores[0]!)).map(({ epoch, owner }) => ({ epoch, owner }));
        expect(stand, "what stands").toStrictEqual(all.map(({ fence }) => fence));
        const released = await stores[1]!.releaseLeases(SCOPE, all);
        expect(released.toSorted()).toStrictEqual(shardIds);
      }
    },
  },
  {
    key: "acquire.many",
    title: "1,000 shards are put, claimed, listed and given back, in one call each",
    async run({ harness }) {
      const store = await harness.open();
      const shardIds = Array.from({ length: 1000 }, (_, index) => shard(index));
      await given(store, [A], shardIds);
      const acquired = await store.acquireLeases(SCOPE, A, shardIds);
      expect(acquired.length, "claimed").toBe(1000);
      const held = (await leases(store)).filter(({ owner }) => owner === ownerOf(A));
      expect(held.length, "listed").toBe(1000);
      expect((await store.releaseLeases(SCOPE, acquired)).length, "given back").toBe(1000);
    },
  },
  {
    key: "release.fence",
    title: "a lease is given back by the fence that holds, and by no other",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1)]);
      const [zero, one] = await acquire(store, A, shard(0), shard(1));
      const { epoch, owner } = zero!.fence;
      for (const fence of [
        { epoch: epoch + 1, owner },
        { epoch: epoch - 1, owner },
        { epoch, owner: ownerOf(B) },
      ]) {
        const answer = await store.releaseLeases(SCOPE, [{ shardId: shard(0), fence }]);
        expect(answer, JSON.stringify(fence)).toStrictEqual([]);
      }
      const lost = { shardId: shard(0), fence: { epoch, owner: ownerOf(B) } };
      expect(await store.releaseLeases(SCOPE, [lost, one!])).toStrictEqual([shard(1)]);
      expect(await store.releaseLeases(SCOPE, [zero!])).toStrictEqual([shard(0)]);
      expect(await store.releaseLeases(SCOPE, [zero!]), "a second time").toStrictEqual([]);
      const stand = (await leases(store)).map((row) => [row.owner, row.epoch]);
      expect(stand, "the epoch stays").toStrictEqual([
        [undefined, 1],
        [undefined, 1],
      ]);
    },
  },
];
