import { ownerOf, type ShardPut } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard } from "../../store/fixtures.ts";
import { A, acquire, B, byShard, given, leases, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const leaseRaceScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "shards.put-race",
    title: "of two that put or replace a shard's row at once one wins, and both read the same row",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 10 }, (_, index) => shard(index));
      /** Both put; then each reads what the store has kept. */
      const race = async (what: string, lineageOf: (name: string) => Omit<ShardPut, "shardId">) => {
        const seen = await Promise.all(
          stores.map(async (store, index) => {
            const own = shardIds.map((shardId) => ({ shardId, ...lineageOf("ab"[index]!) }));
            await store.putShards(SCOPE, index === 0 ? own : own.toReversed());
            return (await leases(store)).map(({ lineage }) => lineage);
          }),
        );
        const stand = (await leases(stores[0]!)).map(({ lineage }) => lineage);
        expect(stand, what).toHaveLength(shardIds.length);
        expect(seen, what).toStrictEqual([stand, stand]);
        return stand;
      };
      for (let round = 1; round <= 10; round += 1) {
        const made = await race("made", (name) => ({ lineage: name }));
        for (const lineage of made) expect(["a", "b"]).toContain(lineage);
        const standing = `of round ${round}`;
        await stores[0]!.putShards(
          SCOPE,
          shardIds.map((shardId, index) => ({
            shardId,
            lineage: standing,
            replaces: made[index]!,
          })),
        );
        const replaced = await race("replaced", (name) => ({
          lineage: `${name}'s`,
          replaces: standing,
        }));
        for (const lineage of replaced) expect(["a's", "b's"]).toContain(lineage);
        await stores[0]!.removeShards(SCOPE, shardIds);
      }
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
    key: "acquire.evict-race",
    title: "a claim that meets its worker's eviction holds nothing back: another gets every shard",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 10 }, (_, index) => shard(index));
      await given(store, [B], shardIds);
      for (let round = 1; round <= 10; round += 1) {
        const victim = worker("victim", round);
        await given(store, [victim]);
        const evict = () => other.evictWorker(SCOPE, { ...victim, counter: 0 });
        const first = round % 2 === 0 ? evict() : undefined;
        const claim = store.acquireLeases(SCOPE, victim, shardIds);
        const [got, outcome] = await Promise.all([claim, first ?? evict()]);
        expect(outcome, "a claim is no heartbeat").toBe("evicted");
        const { workers } = await other.listWorkers(SCOPE);
        expect(workers, "nor a join").toStrictEqual([{ ...B, counter: 0 }]);
        const taken = await acquire(other, B, ...shardIds);
        expect(taken.map(({ shardId }) => shardId)).toStrictEqual(shardIds);
        const late = got.map((lease) => ({ ...lease, checkpoint: at(9) }));
        const answers = await store.setCheckpoints(SCOPE, late);
        expect(answers).toStrictEqual(late.map(() => ({ outcome: "lease-lost" })));
        await other.releaseLeases(SCOPE, taken);
      }
    },
  },
  {
    key: "shards.replace-race",
    title: "a lineage that is replaced while the shard is claimed takes no lease away",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 10 }, (_, index) => shard(index));
      await given(store, [A], shardIds);
      for (let round = 1; round <= 10; round += 1) {
        const lineage = `of round ${round}`;
        const before = await leases(store);
        const put = before.map((row) => ({ shardId: row.shardId, lineage, replaces: row.lineage }));
        const claims = () => other.acquireLeases(SCOPE, A, shardIds);
        const first = round % 2 === 0 ? claims() : undefined;
        const replaced = store.putShards(SCOPE, put);
        const got = byShard(await (first ?? claims()));
        await replaced;
        const fence = { epoch: round, owner: ownerOf(A) };
        expect(got.map((lease) => lease.fence)).toStrictEqual(shardIds.map(() => fence));
        const stand = shardIds.map((shardId) => ({
          shardId,
          ...fence,
          lineage,
          checkpoint: undefined,
        }));
        expect(await leases(store)).toStrictEqual(stand);
        await store.releaseLeases(SCOPE, got);
      }
    },
  },
  {
    key: "shards.remove-race",
    title:
      "of a removal and a claim that meet one wins: the row is gone, or held with its checkpoint",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 10 }, (_, index) => shard(index));
      for (let round = 1; round <= 10; round += 1) {
        const [before, claimer] = [worker("before", round), worker("claimer", round)];
        await given(store, [before, claimer], shardIds);
        const held = await acquire(store, before, ...shardIds);
        const writes = held.map((lease) => ({ ...lease, checkpoint: at(round) }));
        await store.setCheckpoints(SCOPE, writes);
        await store.leaveWorker(SCOPE, before);
        const claims = () => other.acquireLeases(SCOPE, claimer, shardIds);
        const first = round % 2 === 0 ? claims() : undefined;
        const removal = store.removeShards(SCOPE, shardIds);
        const got = byShard(await (first ?? claims()));
        await removal;
        const stand = await leases(store);
        const standing = stand.map(({ shardId, owner, epoch, checkpoint }) => ({
          shardId,
          fence: { epoch, owner },
          checkpoint,
        }));
        expect(standing, "what stands is what was claimed").toStrictEqual(got);
        for (const { shardId, checkpoint } of got) {
          expect(checkpoint, shardId).toStrictEqual(at(round));
        }
        const found = await store.getCheckpoints(SCOPE);
        expect([...found.keys()].toSorted()).toStrictEqual(got.map(({ shardId }) => shardId));
        await store.leaveWorker(SCOPE, claimer);
        await store.removeShards(SCOPE, shardIds);
      }
    },
  },
  {
    key: "release.race",
    title: "a late release that meets another's claim takes no lease away",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 10 }, (_, index) => shard(index));
      await given(store, [B], shardIds);
      for (let round = 1; round <= 10; round += 1) {
        const late = worker("late", round);
        await given(store, [late]);
        const held = await acquire(store, late, ...shardIds);
        await store.evictWorker(SCOPE, { ...late, counter: 0 });
        const releases = () => store.releaseLeases(SCOPE, held);
        const first = round % 2 === 0 ? releases() : undefined;
        const claim = other.acquireLeases(SCOPE, B, shardIds);
        await (first ?? releases());
        const got = byShard(await claim);
        const stand = (await leases(store)).filter(({ owner }) => owner === ownerOf(B));
        const standing = stand.map(({ shardId, epoch }) => ({ shardId, epoch }));
        expect(standing, "what it claimed it holds").toStrictEqual(
          got.map(({ shardId, fence }) => ({ shardId, epoch: fence.epoch })),
        );
        await other.releaseLeases(SCOPE, got);
      }
    },
  },
];
