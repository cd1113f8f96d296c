import { compareCheckpoints, formatCheckpoint, type Store } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";

async function openMany(harness: StoreHarness, count: number): Promise<readonly Store[]> {
  const stores: Store[] = [];
  while (stores.length < count) stores.push(await harness.open());
  return stores;
}

/** 0 … count - 1 in a scattered order, the same in each run (37 and `count` are coprime). */
const scattered = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, index) => (index * 37) % count);

export const concurrencyScenarios: readonly StoreScenario[] = [
  {
    key: "concurrent.one-shard",
    title: "200 writers on one shard leave the furthest, with outcomes that monotonicity allows",
    async run({ harness }) {
      const stores = await openMany(harness, 4);
      // 100 positions, each with two writers: at most one of a pair may get 'written'.
      const positions = [...scattered(100), ...scattered(100)];
      const answers = await Promise.all(
        positions.map(async (n, index) => {
          const store = stores[index % stores.length]!;
          const write = { shardId: SHARD, checkpoint: at(n) };
          const { outcome, stored } = await store.setCheckpoint(SCOPE, write);
          return { n, outcome, stored };
        }),
      );
      expect(await stores[0]!.getCheckpoint(SCOPE, SHARD), "what stands").toStrictEqual(at(99));
      const written = answers.filter(({ outcome }) => outcome === "written").map(({ n }) => n);
      expect(new Set(written).size, "a position is written once").toBe(written.length);
      expect(written, "the furthest was written by somebody").toContain(99);
      for (const { n, outcome, stored } of answers) {
        const order = compareCheckpoints(at(n), stored);
        const claim = `position ${n} was answered '${outcome}' by ${formatCheckpoint(stored)}`;
        expect(Math.sign(order), claim).toBe(outcome === "behind" ? -1 : 0);
        if (outcome === "same") expect(written, claim).toContain(n);
      }
    },
  },
  {
    key: "concurrent.bulk",
    title: "bulk writes that cross each other end at each shard's furthest position",
    async run({ harness }) {
      const stores = await openMany(harness, 4);
      const shards = Array.from({ length: 20 }, (_, index) => shard(index));
      const furthest = 10;
      const calls = scattered(furthest + 1).map((n, index) => {
        const writes = shards.map((shardId) => ({ shardId, checkpoint: at(n) }));
        // Every second call has the opposite order: a store that locks row by row would deadlock.
        const ordered = index % 2 === 0 ? writes : writes.toReversed();
        return stores[index % stores.length]!.setCheckpoints(SCOPE, ordered);
      });
      const answers = (await Promise.all(calls)).flat();
      expect(answers.filter(({ outcome }) => outcome === "lease-lost")).toStrictEqual([]);
      const found = await stores[0]!.getCheckpoints(SCOPE);
      for (const shardId of shards) expect(found.get(shardId), shardId).toStrictEqual(at(furthest));
    },
  },
];
