import { SHARD_END, type BulkCheckpointResult, type CheckpointWrite } from "@kc/core";
import { expect } from "vitest";
import { expectStoreError, withinThreeTries } from "../../expectations.ts";
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
      // Not in the order of the shard ids, so that an answer sorted by the database is detected.
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
  {
    key: "bulk.locked-rows",
    title: "rows that another transaction has locked fail their own writes alone, in passing",
    async run({ harness }) {
      if (harness.lockRow === undefined) return;
      const store = await harness.open();
      const shardIds = Array.from({ length: 20 }, (_, index) => shard(index));
      const locked = [shardIds[3]!, shardIds[11]!];
      const write = (n: number) => {
        const writes = shardIds.map((shardId) => ({ shardId, checkpoint: at(n) }));
        return withinThreeTries(() => store.setCheckpoints(SCOPE, writes), "a bulk write");
      };
      await write(1);
      const unlock = [
        await harness.lockRow(SCOPE, locked[0]!, "checkpoint"),
        await harness.lockRow(SCOPE, locked[1]!, "lease"),
      ];
      for (const n of [2, 3]) {
        for (const [i, answer] of (await write(n)).entries()) {
          if (locked.includes(shardIds[i]!)) expectFailed(answer, shardIds[i]!);
          // `same`: an earlier try wrote it, and failed with a retryable error.
          else expect({ ...answer, outcome: "written" }).toStrictEqual(moved(n));
        }
        const stands = await store.getCheckpoints(SCOPE);
        for (const shardId of shardIds) {
          const expected = at(locked.includes(shardId) ? 1 : n);
          expect(stands.get(shardId), shardId).toStrictEqual(expected);
        }
      }
      for (const each of unlock) await each();
      const answers = await write(4);
      expect(answers, "once they are free").toStrictEqual(shardIds.map(() => moved(4)));
    },
  },
  {
    key: "bulk.locked-rows-beside",
    title:
      "a flush that meets a lock continues, although another flush of the same store meets none",
    async run({ harness }) {
      if (harness.lockRow === undefined) return;
      const store = await harness.open();
      const write = (n: number, ...shards: readonly number[]) =>
        store.setCheckpoints(
          SCOPE,
          shards.map((index) => ({ shardId: shard(index), checkpoint: at(n) })),
        );
      await write(1, 0, 1);
      const unlock = await harness.lockRow(SCOPE, shard(0), "checkpoint");
      let n = 1;
      const answers = await withinThreeTries(async () => {
        n += 1;
        expect(await write(n, 2, 3), "the other flush").toStrictEqual([moved(n), moved(n)]);
        return write(2, 0, 1);
      }, "a bulk write");
      expectFailed(answers[0]!, shard(0));
      expect(await store.getCheckpoint(SCOPE, shard(1)), "its other shard").toStrictEqual(at(2));
      await unlock();
    },
  },
];

function moved(n: number): BulkCheckpointResult {
  return { outcome: "written", stored: at(n) };
}

function expectFailed(answer: BulkCheckpointResult, shardId: string): void {
  expect(answer.outcome, `the write of ${shardId}, whose row is locked`).toBe("failed");
  const error = answer.outcome === "failed" ? answer.error : undefined;
  expectStoreError(error, { code: "STORE_UNAVAILABLE", retryable: true }, shardId);
  expect(error, "its error names the shard").toMatchObject({ shardId });
}
