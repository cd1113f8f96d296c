import { SHARD_END, type CheckpointWrite } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";

export const bulkScenarios: readonly StoreScenario[] = [
  {
    key: "bulk.read",
    title: "a bulk read has every shard of the application, whatever its kind, and no other",
    async run({ harness }) {
      const store = await harness.open();
      expect(await store.getCheckpoints(SCOPE), "before any write").toStrictEqual(new Map());
      const stored = [at(1), at(2, 0), at(3, 17), SHARD_END] as const;
      for (const [index, checkpoint] of stored.entries()) {
        await store.setCheckpoint(SCOPE, { shardId: shard(index), checkpoint });
      }
      const found = await store.getCheckpoints(SCOPE);
      const sorted = new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
      expect(sorted).toStrictEqual(new Map(stored.map((stands, index) => [shard(index), stands])));
    },
  },
  {
    key: "bulk.outcomes",
    title: "a bulk write answers each write with its own outcome, in the order of the writes",
    async run({ harness }) {
      const store = await harness.open();
      for (const n of [1, 2, 3]) {
        await store.setCheckpoint(SCOPE, { shardId: shard(n), checkpoint: at(50) });
      }
      // Not in the order of the shard ids, so that an answer sorted by the database shows.
      const answers = await store.setCheckpoints(SCOPE, [
        { shardId: shard(3), checkpoint: at(49) },
        { shardId: shard(9), checkpoint: at(9, 9) },
        { shardId: shard(1), checkpoint: at(51) },
        { shardId: shard(2), checkpoint: at(50) },
        { shardId: shard(0), checkpoint: SHARD_END },
      ]);
      expect(answers).toStrictEqual([
        { outcome: "behind", stored: at(50) },
        { outcome: "written", stored: at(9, 9) },
        { outcome: "written", stored: at(51) },
        { outcome: "same", stored: at(50) },
        { outcome: "written", stored: { kind: "shard-end" } },
      ]);
      expect(await store.getCheckpoint(SCOPE, shard(3)), "behind stays").toStrictEqual(at(50));
      expect(await store.getCheckpoint(SCOPE, shard(1)), "written moves").toStrictEqual(at(51));
    },
  },
  {
    key: "bulk.empty",
    title: "no writes are no answers",
    async run({ harness }) {
      const store = await harness.open();
      const answers = store.setCheckpoints(SCOPE, []);
      await expect(answers, "an empty list").resolves.toStrictEqual([]);
    },
  },
  {
    key: "bulk.thousand",
    title: "1,200 shards are written and read in one call each",
    async run({ harness }) {
      const store = await harness.open();
      const writes: CheckpointWrite[] = Array.from({ length: 1200 }, (_, index) => ({
        shardId: shard(index),
        checkpoint: at(index),
      }));
      const answers = await store.setCheckpoints(SCOPE, writes);
      const written = answers.filter(({ outcome }) => outcome === "written").length;
      expect(written, "writes answered with 'written'").toBe(1200);
      const found = await store.getCheckpoints(SCOPE);
      expect(found.size, "shards read back").toBe(1200);
      for (const { shardId, checkpoint } of writes) {
        expect(found.get(shardId), shardId).toStrictEqual(checkpoint);
      }
    },
  },
];
