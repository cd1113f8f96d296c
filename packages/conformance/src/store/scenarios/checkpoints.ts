import { checkpointAt, SHARD_END, shardEndAt, type Checkpoint, type Store } from "@kc/core";
import { expect } from "vitest";
import { AN_END, at, SCOPE, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";

const set = (store: Store, checkpoint: Checkpoint) =>
  store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });

/**
 * Fails unless each checkpoint is after the one before it: all are written, and each is then
 * refused.
 */
async function expectAscending(store: Store, checkpoints: readonly Checkpoint[]): Promise<void> {
  let before: Checkpoint | undefined;
  let stored: Checkpoint | undefined;
  for (const checkpoint of checkpoints) {
    stored = checkpoint.kind === "shard-end" ? AN_END : checkpoint;
    const forward = await set(store, checkpoint);
    expect(forward, "a step forward").toStrictEqual({ outcome: "written", stored });
    expect(await store.getCheckpoint(SCOPE, SHARD), "read back").toStrictEqual(stored);
    if (before !== undefined) {
      const back = await set(store, before);
      expect(back, "a step back").toStrictEqual({ outcome: "behind", stored });
    }
    before = checkpoint;
  }
  expect(await store.getCheckpoint(SCOPE, SHARD), "what stands at the end").toStrictEqual(stored);
}

export const checkpointScenarios: readonly StoreScenario[] = [
  {
    key: "checkpoint.none",
    title: "a shard that was never written has no checkpoint, among others that have one",
    async run({ harness }) {
      const store = await harness.open();
      expect(await store.getCheckpoint(SCOPE, SHARD)).toBeUndefined();
      await set(store, at(1));
      expect(await store.getCheckpoint(SCOPE, `${SHARD}1`)).toBeUndefined();
    },
  },
  {
    key: "checkpoint.written",
    title: "a step forward is written, and answered with what now stands",
    async run({ harness }) {
      const store = await harness.open();
      const first = await set(store, at(1));
      expect(first, "the first write").toStrictEqual({ outcome: "written", stored: at(1) });
      const second = await set(store, at(2));
      expect(second, "a step forward").toStrictEqual({ outcome: "written", stored: at(2) });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(2));
    },
  },
  {
    key: "checkpoint.same",
    title: "the same write again is a success of its own: 'same'",
    async run({ harness }) {
      const store = await harness.open();
      for (const checkpoint of [at(1, 3), at(1), SHARD_END]) {
        await set(store, checkpoint);
        const again = await set(store, checkpoint);
        const stored = checkpoint.kind === "shard-end" ? AN_END : checkpoint;
        expect(again).toStrictEqual({ outcome: "same", stored });
      }
    },
  },
  {
    key: "checkpoint.behind",
    title: "a step back writes nothing, and is answered with what stands",
    async run({ harness }) {
      const store = await harness.open();
      await set(store, at(1000));
      expect(await set(store, at(7))).toStrictEqual({ outcome: "behind", stored: at(1000) });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1000));
    },
  },
  {
    key: "checkpoint.big-numbers",
    title: "neighbouring 56-digit numbers, equal as doubles, stay distinct and exact",
    async run({ harness }) {
      await expectAscending(await harness.open(), [at(0), at(1), at(2)]);
    },
  },
  {
    key: "checkpoint.number-length",
    title: "numbers are ordered as numbers, not as text: 9 comes before 10, up to 57 digits",
    async run({ harness }) {
      const numbers = ["0", "9", "10", "99", "100", "9".repeat(56), `1${"0".repeat(56)}`];
      const ascending = numbers.map((sequenceNumber) => checkpointAt({ sequenceNumber }));
      await expectAscending(await harness.open(), ascending);
    },
  },
  {
    // A separate scenario, so that a table with shorter numbers can list it as a gap: Kinesis's
    // have 56 digits.
    key: "checkpoint.longest-numbers",
    title: "numbers of 128 digits are kept and ordered, and a shard's end comes after them",
    async run({ harness }) {
      const [eights, nines] = ["8".repeat(128), "9".repeat(128)] as const;
      const last = `${"8".repeat(127)}9`;
      const ascending = ["9".repeat(127), eights, last, nines].map((sequenceNumber) =>
        checkpointAt({ sequenceNumber }),
      );
      await expectAscending(await harness.open(), [at(1), ...ascending, SHARD_END]);
    },
  },
  {
    key: "checkpoint.sub-sequence-kept",
    title: "a sub-sequence number is kept, 0 too, and is absent where none was written",
    async run({ harness }) {
      const store = await harness.open();
      for (const checkpoint of [at(1, 0), at(1, 1), at(1), at(2, 65_535)]) {
        await set(store, checkpoint);
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(checkpoint);
      }
    },
  },
  {
    key: "checkpoint.sub-sequence-order",
    title: "user records of one number are ordered 0, 1, 2 … 10; the whole record comes last",
    async run({ harness }) {
      const subs = [0, 1, 2, 9, 10, 100].map((sub) => at(1, sub));
      await expectAscending(await harness.open(), [at(0), ...subs, at(1), at(2, 0)]);
    },
  },
  {
    key: "checkpoint.shard-end",
    title: "a shard's end is a kind of its own, and comes after every position",
    async run({ harness }) {
      const store = await harness.open();
      await set(store, checkpointAt({ sequenceNumber: "9".repeat(56) }));
      const ended = await set(store, SHARD_END);
      expect(ended).toStrictEqual({ outcome: "written", stored: AN_END });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(AN_END);
      const bulk = await store.getCheckpoints(SCOPE);
      expect(bulk).toStrictEqual(new Map([[SHARD, AN_END]]));
    },
  },
  {
    key: "checkpoint.shard-end-number",
    title: "a shard's end keeps the last number that it was written with, or has none",
    async run({ harness }) {
      const store = await harness.open();
      const last = String(BigInt("9".repeat(56)) - 7n);
      const expectKept = (stored: Checkpoint | undefined, what: string): void => {
        expect(stored, what).toStrictEqual(AN_END);
        expect([undefined, last], what).toContain(stored?.sequenceNumber);
      };
      await set(store, at(1));
      const ended = await set(store, shardEndAt(last));
      expect(ended.outcome).toBe("written");
      expectKept(ended.stored, "the answer");
      expectKept(await store.getCheckpoint(SCOPE, SHARD), "read back");
      expectKept((await store.getCheckpoints(SCOPE)).get(SHARD), "read back in bulk");
      const again = await set(store, SHARD_END);
      expect(again.outcome, "all ends are the same").toBe("same");
      expectKept(await store.getCheckpoint(SCOPE, SHARD), "after an end without a number");
    },
  },
  {
    key: "checkpoint.shard-end-final",
    title: "after a shard's end every position is behind",
    async run({ harness }) {
      const store = await harness.open();
      await set(store, SHARD_END);
      for (const late of [at(1), checkpointAt({ sequenceNumber: "9".repeat(56) }), at(3, 0)]) {
        const answer = await set(store, late);
        expect(answer).toStrictEqual({ outcome: "behind", stored: AN_END });
      }
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(AN_END);
    },
  },
];
