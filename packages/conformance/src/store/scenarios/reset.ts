import { SHARD_END, type Checkpoint, type Store } from "@kc/core";
import { expect } from "vitest";
import { AN_END, at, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";

const set = (store: Store, checkpoint: Checkpoint) =>
  store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });

/** Fails unless a reset took effect: `to` is read, and the next write is compared with it. */
async function expectReset(store: Store, to: Checkpoint, next: Checkpoint): Promise<void> {
  await store.resetCheckpoint(SCOPE, SHARD, to);
  expect(await store.getCheckpoint(SCOPE, SHARD), "after the reset").toStrictEqual(to);
  expect(await set(store, next)).toStrictEqual({ outcome: "written", stored: next });
}

export const resetScenarios: readonly StoreScenario[] = [
  {
    key: "reset.back",
    title: "a reset goes back, and writing continues from there",
    async run({ harness }) {
      const store = await harness.open();
      await set(store, at(100));
      await expectReset(store, at(50), at(51));
      await expectReset(store, at(20, 3), at(20, 4));
    },
  },
  {
    key: "reset.forward",
    title: "a reset goes forward too, to a shard's end as well, and onto a shard that has no row",
    async run({ harness }) {
      const store = await harness.open();
      await expectReset(store, at(5), at(6));
      await expectReset(store, at(500), at(501));
      await store.resetCheckpoint(SCOPE, SHARD, SHARD_END);
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(AN_END);
    },
  },
  {
    key: "reset.none",
    title: "a reset to undefined leaves no checkpoint, and any position can follow",
    async run({ harness }) {
      const store = await harness.open();
      await set(store, at(100, 3));
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      expect(await store.getCheckpoint(SCOPE, SHARD), "one shard").toBeUndefined();
      expect(await store.getCheckpoints(SCOPE), "in bulk").toStrictEqual(new Map());
      expect(await set(store, at(0))).toStrictEqual({ outcome: "written", stored: at(0) });
      await store.resetCheckpoint(SCOPE, shard(7), undefined);
      expect(await store.getCheckpoint(SCOPE, shard(7)), "never written").toBeUndefined();
    },
  },
  {
    key: "reset.shard-end",
    title: "a reset, and nothing else, reopens a shard that was read to its end",
    async run({ harness }) {
      const store = await harness.open();
      await set(store, SHARD_END);
      await expectReset(store, at(1), at(2));
      await set(store, SHARD_END);
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      expect(await set(store, at(0))).toStrictEqual({ outcome: "written", stored: at(0) });
    },
  },
  {
    key: "reset.one-shard",
    title: "a reset leaves other shards and other applications alone",
    async run({ harness }) {
      const store = await harness.open();
      const elsewhere = { ...SCOPE, application: "audit" };
      const writes = [0, 1, 2].map((n) => ({ shardId: shard(n), checkpoint: at(100 + n) }));
      for (const scope of [SCOPE, elsewhere]) await store.setCheckpoints(scope, writes);
      await store.resetCheckpoint(SCOPE, shard(1), at(3));
      await store.resetCheckpoint(SCOPE, shard(2), undefined);
      const here = new Map([
        [shard(0), at(100)],
        [shard(1), at(3)],
      ]);
      expect(await store.getCheckpoints(SCOPE), "this application").toStrictEqual(here);
      const untouched = new Map(writes.map(({ shardId, checkpoint }) => [shardId, checkpoint]));
      expect(await store.getCheckpoints(elsewhere), "another").toStrictEqual(untouched);
    },
  },
];
