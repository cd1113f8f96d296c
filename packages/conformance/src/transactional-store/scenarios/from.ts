import { checkpointAt, SHARD_END, type Checkpoint, type Position } from "@kc/core";
import { expect } from "vitest";
import { AN_END, at, SCOPE, SHARD } from "../../store/fixtures.ts";
import { effectsOf, expectEffects, positionAt, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

/** Numbers of different lengths, for which comparing text is wrong. */
const SHORT: Position = { sequenceNumber: "99" };
const LONG: Position = { sequenceNumber: "100" };

/** A stored checkpoint, and the first record of a batch that lies beyond it. */
const BEYOND: readonly (readonly [string, Checkpoint, Position])[] = [
  ["the record before", at(4), positionAt(5)],
  ["a shorter number", checkpointAt(SHORT), LONG],
  ["a user record of the same aggregate", at(5, 3), positionAt(5, 4)],
  ["user record 9 before 10", at(5, 9), positionAt(5, 10)],
  ["a part of the record", at(5, 3), positionAt(5)],
];

/** A stored checkpoint, and the first record of a batch that it covers. */
const COVERED: readonly (readonly [string, Checkpoint, Position])[] = [
  ["the record itself", at(5), positionAt(5)],
  ["a record within the batch", at(7), positionAt(5)],
  ["the batch's last record", at(9), positionAt(5)],
  ["a record beyond the batch", at(12), positionAt(5)],
  ["a longer number", checkpointAt(LONG), SHORT],
  ["the user record itself", at(5, 3), positionAt(5, 3)],
  ["a later user record of the aggregate", at(5, 10), positionAt(5, 9)],
  ["the whole aggregate", at(5), positionAt(5, 7)],
  ["the shard's end", SHARD_END, positionAt(5)],
];

export const fromScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "from.beyond",
    title: "a batch whose first record lies beyond what is stored is committed",
    async run({ make }) {
      for (const [what, stored, from] of BEYOND) {
        const harness = await make();
        const store = await harness.open();
        await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: stored });
        const write = { shardId: SHARD, from, checkpoint: at(9) };
        const answer = await transact(harness, store, write, { effects: effectsOf(5, 9) });
        expect(answer.outcome, what).toBe("committed");
        expect(await store.getCheckpoint(SCOPE, SHARD), what).toStrictEqual(at(9));
        await expectEffects(harness, effectsOf(5, 9), what);
      }
    },
  },
  {
    key: "from.covered",
    title:
      "a batch whose first record is stored already stores nothing, and is answered what is stored",
    async run({ make }) {
      for (const [what, checkpoint, from] of COVERED) {
        const harness = await make();
        const store = await harness.open();
        await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });
        const write = { shardId: SHARD, from, checkpoint: at(9) };
        const answer = await transact(harness, store, write, { effects: effectsOf(5, 9) });
        const stored = checkpoint.kind === "shard-end" ? AN_END : checkpoint;
        expect(answer, what).toStrictEqual({ outcome: "already-done", stored });
        expect(await store.getCheckpoint(SCOPE, SHARD), what).toStrictEqual(stored);
        await expectEffects(harness, [], what);
      }
    },
  },
  {
    key: "from.again",
    title: "a batch that is committed already is not stored again, on this handle or another",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      const batch = { effects: effectsOf(1, 3) };
      await transact(harness, one, writeOf(1, 3), batch);
      for (const store of [one, other]) {
        const again = await transact(harness, store, writeOf(1, 3), batch);
        expect(again).toStrictEqual({ outcome: "already-done", stored: at(3) });
      }
      await expectEffects(harness, effectsOf(1, 3), "the effects");
    },
  },
  {
    key: "from.sub-sequence",
    title: "the checkpoint of a user record is read back as that",
    async run({ harness }) {
      const store = await harness.open();
      const write = { shardId: SHARD, from: positionAt(5, 0), checkpoint: at(5, 2) };
      const answer = await transact(harness, store, write, { effects: ["a"] });
      expect(answer.outcome).toBe("committed");
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(5, 2));
    },
  },
  {
    key: "from.ahead",
    title: "what is done beyond a position goes with it, and does not cover the batch",
    async run({ harness }) {
      const store = await harness.open();
      if ((store.capabilities.maxAheadBytes ?? 0) === 0) return;
      const checkpoint = checkpointAt(positionAt(4), "runs:1");
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });
      const again = await transact(harness, store, writeOf(4, 9), { effects: effectsOf(4, 9) });
      expect(again).toStrictEqual({ outcome: "already-done", stored: checkpoint });
      const next = await transact(harness, store, writeOf(5, 9), { effects: effectsOf(5, 9) });
      expect(next.outcome).toBe("committed");
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(9));
    },
  },
];
