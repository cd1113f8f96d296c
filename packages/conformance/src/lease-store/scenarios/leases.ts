import { checkpointAt, ownerOf } from "@kc/core";
import { expect } from "vitest";
import { withinThreeTries } from "../../expectations.ts";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { A, acquire, B, given, leases, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const leaseScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "acquire.free",
    title: "a free lease goes to who claims it, with the next epoch and the shard's checkpoint",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1), shard(2)]);
      const { maxAheadBytes = 0 } = store.capabilities;
      const position = { sequenceNumber: "49", subSequenceNumber: 6 };
      const checkpoint = checkpointAt(position, maxAheadBytes > 0 ? "0001~" : undefined);
      await store.setCheckpoint(SCOPE, { shardId: shard(1), checkpoint });
      await store.setCheckpoint(SCOPE, { shardId: shard(2), checkpoint: { kind: "shard-end" } });
      expect((await leases(store))[1]!.checkpoint, "listed").toStrictEqual(checkpoint);
      const owner = ownerOf(A);
      const acquired = await acquire(store, A, shard(0), shard(1), shard(2));
      expect(acquired).toStrictEqual([
        { shardId: shard(0), fence: { epoch: 1, owner }, checkpoint: undefined },
        { shardId: shard(1), fence: { epoch: 1, owner }, checkpoint },
        { shardId: shard(2), fence: { epoch: 1, owner }, checkpoint: { kind: "shard-end" } },
      ]);
      await store.releaseLeases(SCOPE, acquired);
      const next = await acquire(store, B, shard(1));
      const fence = { epoch: 2, owner: ownerOf(B) };
      expect(next).toStrictEqual([{ ...acquired[1], fence }]);
      const owners = (await leases(store)).map((row) => row.owner);
      expect(owners).toStrictEqual([undefined, ownerOf(B), undefined]);
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
    key: "acquire.reborn",
    title: "what a dead incarnation held is free although its worker's id lives again",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1), shard(2), shard(3)]);
      const held = await acquire(store, A, shard(0), shard(1), shard(2));
      await store.evictWorker(SCOPE, { ...A, counter: 0 });
      const again = worker(A.workerId, 2);
      await given(store, [again]);
      expect(await acquire(store, A, shard(3)), "the dead one's claim").toStrictEqual([]);
      await store.removeShards(SCOPE, [shard(2)]);
      const ids = (await leases(store)).map(({ shardId }) => shardId);
      expect(ids, "removed").toStrictEqual([shard(0), shard(1), shard(3)]);
      const [own] = await acquire(store, again, shard(0));
      expect(own?.fence, "its own").toStrictEqual({ epoch: 2, owner: ownerOf(again) });
      const [other] = await acquire(store, B, shard(0), shard(1));
      expect(other?.fence, "another's").toStrictEqual({ epoch: 2, owner: ownerOf(B) });
      const late = held.map((lease) => ({ ...lease, checkpoint: at(9) })).slice(0, 2);
      expect(await store.setCheckpoints(SCOPE, late), "the dead one's writes").toStrictEqual([
        { outcome: "lease-lost" },
        { outcome: "lease-lost" },
      ]);
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
    key: "acquire.locked-rows",
    title: "a row that another transaction has locked keeps no other lease from being claimed",
    async run({ harness }) {
      if (harness.lockRow === undefined) return;
      const store = await harness.open();
      const shardIds = Array.from({ length: 12 }, (_, index) => shard(index));
      const [ofLease, ofCheckpoint] = [shard(3), shard(7)];
      await given(store, [A], shardIds);
      await store.setCheckpoint(SCOPE, { shardId: ofCheckpoint, checkpoint: at(1) });
      const unlock = [
        await harness.lockRow(SCOPE, ofLease, "lease"),
        await harness.lockRow(SCOPE, ofCheckpoint, "checkpoint"),
      ];
      const claim = async () => {
        const acquired = await withinThreeTries(() => acquire(store, A, ...shardIds), "a claim");
        const fence = { epoch: 1, owner: ownerOf(A) };
        expect(acquired.map((lease) => lease.fence)).toStrictEqual(acquired.map(() => fence));
        return acquired.map(({ shardId }) => shardId);
      };
      for (const time of ["the first claim", "the next one"]) {
        const claimed = await claim();
        expect(claimed, `${time}, of the locked lease`).not.toContain(ofLease);
        // A claim may or may not change the checkpoint's row.
        const others = shardIds.filter((id) => id !== ofLease && id !== ofCheckpoint);
        const isOther = (id: string): boolean => others.includes(id);
        expect(claimed.filter(isOther), `${time}, of the others`).toStrictEqual(others);
      }
      for (const each of unlock) await each();
      expect(await claim(), "once they are free").toStrictEqual(shardIds);
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
