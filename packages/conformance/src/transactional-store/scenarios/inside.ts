import {
  compareCheckpoints,
  type Checkpoint,
  type CheckpointInResult,
  type Position,
  type TransactionalStore,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import { expect } from "vitest";
import { at, inside, numberAt, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { expectEffects, grant, inOwn, positionAt, transact } from "../fixtures.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "../harness.ts";

/** Successive batches: first record, checkpoint, and the last completely done record. */
const BATCHES: readonly (readonly [from: Position, checkpoint: Checkpoint, whole: number])[] = [
  [positionAt(1), at(1), 1],
  [positionAt(2, 0), inside(2, 1, 1), 1],
  [positionAt(2, 2), inside(2, 10, 1), 1],
  [positionAt(2, 11), at(2), 2],
  [positionAt(3, 0), inside(5, 0, 4), 4],
  [positionAt(5, 1), at(6), 6],
];

type Way = (
  harness: TransactionalStoreHarness,
  store: TransactionalStore,
  write: TransactionalWrite,
  effects: readonly string[],
) => Promise<TransactionResult<unknown> | CheckpointInResult>;

const byStore: Way = (harness, store, write, effects) =>
  transact(harness, store, write, { effects });
const byUser: Way = (harness, store, write, effects) =>
  inOwn(harness, store, write, effects, "commit");

/**
 * Fails unless this is stored, as read by programs that know positions and by those that know only
 * sequence numbers.
 */
async function expectStored(
  harness: TransactionalStoreHarness,
  checkpoint: Checkpoint,
  whole: number,
  shardId = SHARD,
): Promise<void> {
  const stored = await (await harness.open()).getCheckpoint(SCOPE, shardId);
  const { byNumber } = harness;
  // Without such readers, the last whole record need not be stored.
  if (byNumber === undefined) return expect(compareCheckpoints(stored!, checkpoint)).toBe(0);
  expect(stored).toStrictEqual(checkpoint);
  expect(await byNumber.read(SCOPE, shardId)).toBe(numberAt(whole));
}

/**
 * Stores each batch, and checks that it counts as stored for a transaction that begins at any of
 * its records.
 */
async function runBatches(
  harness: TransactionalStoreHarness,
  store: TransactionalStore,
  way: Way,
): Promise<void> {
  const effects: string[] = [];
  for (const [from, checkpoint, whole] of BATCHES) {
    const own = [`batch ${effects.length}`];
    const write = { shardId: SHARD, from, checkpoint };
    const answer = await way(harness, store, write, own);
    expect(["committed", "written"]).toContain(answer.outcome);
    effects.push(...own);
    await expectStored(harness, checkpoint, whole);
    const again = await way(harness, store, write, own);
    expect(again.outcome).toBe("already-done");
    await expectEffects(harness, effects, "each once");
  }
}

export const insideTransactionScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "transact-inside.batches",
    title: "batches go on inside an aggregate, and who knows numbers alone repeats it",
    async run({ harness }) {
      await runBatches(harness, await harness.open(), byStore);
    },
  },
  {
    key: "transact-inside.own",
    title: "the same in the user's own transactions",
    async run({ harness }) {
      const store = await harness.open();
      if (store.checkpointIn !== undefined) await runBatches(harness, store, byUser);
    },
  },
  {
    key: "transact-inside.foreign",
    title: "another program's number ends the position inside an aggregate: what it covers is done",
    async run({ harness }) {
      const { byNumber } = harness;
      if (byNumber === undefined) return;
      const before = await harness.open();
      const effects: string[] = [];
      for (const number of [5, 7, 3]) {
        const shardId = shard(number);
        const write = { shardId, from: positionAt(5, 0), checkpoint: inside(5, 3, 4) };
        const first = await byStore(harness, before, write, [`${shardId} 1`]);
        expect(first.outcome).toBe("committed");
        await byNumber.write(SCOPE, shardId, numberAt(number));
        // A handle that has read later positions may report that the store lost data.
        const store = await harness.open();
        const covered = { ...write, from: positionAt(number, 4), checkpoint: at(number) };
        const done = { outcome: "already-done", stored: at(number) };
        expect(await byStore(harness, store, covered, ["covered"])).toStrictEqual(done);
        const checkpoint = inside(number + 1, 2, number);
        const next = { ...write, from: positionAt(number + 1, 0), checkpoint };
        const second = await byStore(harness, store, next, [`${shardId} 2`]);
        expect(second.outcome).toBe("committed");
        await expectStored(harness, checkpoint, number, shardId);
        effects.push(`${shardId} 1`, `${shardId} 2`);
      }
      await expectEffects(harness, effects, "each once");
    },
  },
  {
    key: "transact-inside.handed-over",
    title:
      "who takes a shard over inside an aggregate stores the rest of it, and its former owner nothing",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return;
      const [former, fence] = [
        { epoch: 1, owner: "worker-a#1" },
        { epoch: 2, owner: "worker-b#1" },
      ];
      await grant(harness, former);
      const first = { shardId: SHARD, from: positionAt(5, 0), checkpoint: inside(5, 2, 4) };
      const stored = await byStore(harness, store, { ...first, fence: former }, ["a"]);
      expect(stored.outcome).toBe("committed");
      await grant(harness, fence);
      const next = { shardId: SHARD, from: positionAt(5, 3), checkpoint: inside(5, 6, 4) };
      const late = await byStore(harness, store, { ...next, fence: former }, ["late"]);
      expect(late).toStrictEqual({ outcome: "lease-lost" });
      await expectStored(harness, first.checkpoint, 4);
      expect((await byStore(harness, store, { ...next, fence }, ["b"])).outcome).toBe("committed");
      await expectStored(harness, next.checkpoint, 4);
      await expectEffects(harness, ["a", "b"], "each once");
    },
  },
];
