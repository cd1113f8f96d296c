import { checkpointAt, SHARD_END, type Checkpoint, type Store } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { StoreHarness, StoreScenario } from "../harness.ts";

/** The `n`-th position, with `ahead`. */
function ahead(n: number, text: string, subSequenceNumber?: number): Checkpoint {
  const position = at(n, subSequenceNumber);
  return position.kind === "position" ? checkpointAt(position, text) : position;
}

const set = (store: Store, checkpoint: Checkpoint) =>
  store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });

const TEXT = "0000c1q5.abXY_-.B~01ZaA";

/** A scenario for stores that support `ahead`; others never get it. */
function keeping(
  key: string,
  title: string,
  run: (store: Store, maxBytes: number, harness: StoreHarness) => Promise<void>,
): StoreScenario {
  return {
    key,
    title,
    async run({ harness }) {
      const store = await harness.open();
      const { maxAheadBytes = 0 } = store.capabilities;
      if (maxAheadBytes > 0) await run(store, maxAheadBytes, harness);
    },
  };
}

export const aheadScenarios: readonly StoreScenario[] = [
  keeping(
    "ahead.kept",
    "what is done beyond a position is kept as it is, up to the store's bound, and is absent where none was written",
    async (store, maxBytes, harness) => {
      const longest = `z${TEXT.repeat(Math.ceil(maxBytes / TEXT.length))}`.slice(0, maxBytes);
      const all = [ahead(1, TEXT), at(2), ahead(3, longest), ahead(4, TEXT, 0), ahead(4, TEXT, 7)];
      for (const checkpoint of all) {
        const result = await set(store, checkpoint);
        expect(result).toStrictEqual({ outcome: "written", stored: checkpoint });
        const other = await harness.open();
        expect(await other.getCheckpoint(SCOPE, SHARD)).toStrictEqual(checkpoint);
        expect((await other.getCheckpoints(SCOPE)).get(SHARD)).toStrictEqual(checkpoint);
      }
    },
  ),
  keeping(
    "ahead.order",
    "at one position the greater text is further on, byte by byte, and none comes before any",
    async (store) => {
      const ascending = ["0000", "0000a", "0001", "000A", "000_", "000a", "000a~", "z"];
      let before: Checkpoint = at(1);
      await set(store, before);
      for (const text of ascending) {
        const checkpoint = ahead(1, text);
        const stored = checkpoint;
        expect(await set(store, checkpoint)).toStrictEqual({ outcome: "written", stored });
        expect(await set(store, checkpoint)).toStrictEqual({ outcome: "same", stored });
        expect(await set(store, before)).toStrictEqual({ outcome: "behind", stored });
        expect(await set(store, at(1))).toStrictEqual({ outcome: "behind", stored });
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(stored);
        before = checkpoint;
      }
    },
  ),
  keeping(
    "ahead.belongs",
    "it belongs to its position: none is left beside a later one, a later user record or the shard's end",
    async (store) => {
      const steps = [
        [ahead(1, TEXT, 3), at(1, 4)],
        [ahead(1, TEXT, 5), at(1)],
        [ahead(1, TEXT), at(2)],
        [ahead(3, "zz"), ahead(4, "00")],
        [ahead(9, "zz"), ahead(10, "aa", 0)],
      ] as const;
      for (const [before, after] of steps) {
        await set(store, before);
        expect(await set(store, after)).toStrictEqual({ outcome: "written", stored: after });
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(after);
        expect((await set(store, before)).outcome).toBe("behind");
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(after);
      }
      await set(store, ahead(11, TEXT));
      await set(store, SHARD_END);
      const ended = await store.getCheckpoint(SCOPE, SHARD);
      expect(ended).toMatchObject({ kind: "shard-end" });
      expect(ended).not.toHaveProperty("ahead");
    },
  ),
  keeping("ahead.bulk", "writes of one call keep each shard's own", async (store) => {
    const checkpoints = [ahead(1, "a"), at(2), ahead(1, "c"), ahead(4, "d", 2)];
    const writes = checkpoints.map((checkpoint, i) => ({ shardId: shard(i), checkpoint }));
    const results = await store.setCheckpoints(SCOPE, writes);
    expect(results).toStrictEqual(checkpoints.map((stored) => ({ outcome: "written", stored })));
    const again = [ahead(1, "b"), at(2), at(1), ahead(4, "c", 2)];
    const outcomes = await store.setCheckpoints(
      SCOPE,
      again.map((checkpoint, i) => ({ shardId: shard(i), checkpoint })),
    );
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["written", "same", "behind", "behind"]);
    const stored = await store.getCheckpoints(SCOPE);
    expect(writes.map(({ shardId }) => stored.get(shardId))).toStrictEqual([
      ahead(1, "b"),
      ...checkpoints.slice(1),
    ]);
  }),
  keeping(
    "ahead.reset",
    "a reset puts the text that it was given, and removes the one that stood there",
    async (store) => {
      await set(store, ahead(5, TEXT));
      for (const to of [at(5), ahead(3, "a"), ahead(3, "0"), at(2, 1), undefined]) {
        await store.resetCheckpoint(SCOPE, SHARD, to);
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(to);
      }
      await set(store, ahead(5, TEXT));
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      await set(store, at(5));
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(5));
    },
  ),
  keeping(
    "ahead.fenced",
    "a writer whose lease was taken over adds nothing to what is done",
    async (store, _maxBytes, harness) => {
      if (!store.capabilities.fences || harness.grantLease === undefined) return;
      const [former, fence] = [
        { epoch: 1, owner: "a#1" },
        { epoch: 2, owner: "b#1" },
      ];
      await harness.grantLease(SCOPE, SHARD, former);
      const stored = ahead(1, "a");
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: stored, fence: former });
      await harness.grantLease(SCOPE, SHARD, fence);
      const stale = { shardId: SHARD, checkpoint: ahead(1, "b"), fence: former };
      expect(await store.setCheckpoints(SCOPE, [stale])).toStrictEqual([{ outcome: "lease-lost" }]);
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(stored);
      const write = { shardId: SHARD, checkpoint: ahead(1, "c"), fence };
      expect((await store.setCheckpoint(SCOPE, write)).outcome).toBe("written");
    },
  ),
];
