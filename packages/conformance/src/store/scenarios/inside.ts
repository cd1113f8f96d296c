import { shardEndAt, type Checkpoint, type Store } from "@kc/core";
import { expect } from "vitest";
import { at, inside, numberAt, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { NumberReader, StoreHarness, StoreScenario } from "../harness.ts";

const set = (store: Store, checkpoint: Checkpoint) =>
  store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });

/** A scenario for stores whose rows are also read by a program that knows only sequence numbers. */
function shared(
  key: string,
  title: string,
  run: (store: Store, other: NumberReader, harness: StoreHarness) => Promise<void>,
): StoreScenario {
  return {
    key,
    title,
    async run({ harness }) {
      const { byNumber } = harness;
      if (byNumber !== undefined) await run(await harness.open(), byNumber, harness);
    },
  };
}

export const insideScenarios: readonly StoreScenario[] = [
  shared(
    "inside.number",
    "who knows sequence numbers alone finds the last whole record, until the aggregate is done, and the position stays within it",
    async (store, other, harness) => {
      const steps = [
        [at(1), 1],
        [inside(2, 0, 1), 1],
        [inside(2, 7, 1), 1],
        [at(2), 2],
        [inside(3, 1, 2), 2],
        [inside(5, 0, 4), 4],
        [shardEndAt(numberAt(6)), 6],
      ] as const;
      for (const [checkpoint, number] of steps) {
        const written = { outcome: "written", stored: checkpoint };
        expect(await set(store, checkpoint)).toStrictEqual(written);
        expect(await other.read(SCOPE, SHARD)).toBe(numberAt(number));
        const later = await harness.open();
        expect(await later.getCheckpoint(SCOPE, SHARD)).toStrictEqual(checkpoint);
        expect((await later.getCheckpoints(SCOPE)).get(SHARD)).toStrictEqual(checkpoint);
      }
    },
  ),
  shared(
    "inside.unknown",
    "where the last whole record is not known, the number is not that of the aggregate",
    async (store, other) => {
      for (const checkpoint of [at(3, 0), at(3, 1)]) {
        expect((await set(store, checkpoint)).outcome).toBe("written");
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(checkpoint);
        const number = (await other.read(SCOPE, SHARD)) ?? "0";
        expect(BigInt(number)).toBeLessThan(BigInt(numberAt(3)));
      }
    },
  ),
  shared(
    "inside.order",
    "inside an aggregate the order is that of positions: the number for others takes no part in it",
    async (store) => {
      const stored = inside(5, 3, 2);
      await set(store, stored);
      const before = [at(2), at(3), at(4), inside(5, 2, 4), inside(4, 9, 3)];
      for (const checkpoint of before) {
        expect(await set(store, checkpoint)).toStrictEqual({ outcome: "behind", stored });
      }
      for (const checkpoint of [stored, inside(5, 3, 4), inside(5, 3, 1)]) {
        expect(await set(store, checkpoint)).toStrictEqual({ outcome: "same", stored });
      }
      for (const checkpoint of [inside(5, 4, 2), at(5), inside(6, 0, 5), inside(7, 0, 5), at(8)]) {
        const written = { outcome: "written", stored: checkpoint };
        expect(await set(store, checkpoint)).toStrictEqual(written);
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(checkpoint);
      }
    },
  ),
  shared(
    "inside.foreign",
    "another program's write, forward or back, ends the position inside an aggregate",
    async (before, other, harness) => {
      for (const number of [5, 7, 3, 1]) {
        await before.resetCheckpoint(SCOPE, SHARD, undefined);
        await set(before, at(2));
        await set(before, inside(5, 3, 4));
        await other.write(SCOPE, SHARD, numberAt(number));
        // A handle that has read later positions may report that the store lost data.
        const store = await harness.open();
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(number));
        expect((await set(store, inside(number, 9, 0))).outcome).toBe("behind");
        const next = inside(number + 1, 0, number);
        expect(await set(store, next)).toStrictEqual({ outcome: "written", stored: next });
        expect(await other.read(SCOPE, SHARD)).toBe(numberAt(number));
      }
    },
  ),
  shared("inside.bulk", "writes of one call keep each shard's own", async (store, other) => {
    const checkpoints = [inside(2, 1, 1), at(2), inside(9, 4, 3), shardEndAt(numberAt(4))];
    const writes = checkpoints.map((checkpoint, i) => ({ shardId: shard(i), checkpoint }));
    const results = await store.setCheckpoints(SCOPE, writes);
    expect(results).toStrictEqual(checkpoints.map((stored) => ({ outcome: "written", stored })));
    const stored = await store.getCheckpoints(SCOPE);
    expect(writes.map(({ shardId }) => stored.get(shardId))).toStrictEqual(checkpoints);
    const numbers = await Promise.all(writes.map(({ shardId }) => other.read(SCOPE, shardId)));
    expect(numbers).toEqual([1, 2, 3, 4].map(numberAt));
  }),
  shared(
    "inside.reset",
    "a reset puts the position inside an aggregate and the number for others, and leaves none of before",
    async (store, other) => {
      await set(store, inside(5, 3, 4));
      const targets = [
        [inside(5, 1, 2), 2],
        [at(4), 4],
        [inside(3, 2, 2), 2],
        [at(2), 2],
      ] as const;
      for (const [to, number] of targets) {
        await store.resetCheckpoint(SCOPE, SHARD, to);
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(to);
        expect(await other.read(SCOPE, SHARD)).toBe(numberAt(number));
      }
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
      expect(await other.read(SCOPE, SHARD)).toBeUndefined();
    },
  ),
];
