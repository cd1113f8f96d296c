import type { ShardPut } from "@kc/core";
import { expect } from "vitest";
import { SCOPE, shard } from "../../store/fixtures.ts";
import { byShard, given, leases, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const leaseRaceScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "shards.put-race",
    title: "of two that put or replace a shard's row at once one wins, and both read the same row",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 10 }, (_, index) => shard(index));
      /** Both put; what each then reads is what stands in the end. */
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
];
