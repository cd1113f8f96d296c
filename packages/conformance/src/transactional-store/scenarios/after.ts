import {
  checkpointAt,
  SHARD_END,
  type Checkpoint,
  type Position,
  type TransactionalStore,
} from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { at, SCOPE, shard } from "../../store/fixtures.ts";
import {
  effectsOf,
  expectEffects as expectAll,
  grant,
  HELD,
  inOwn,
  positionAt,
  transact,
  writeOf,
} from "../fixtures.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "../harness.ts";

/** The position that the worker knows to be stored, and the stored one: the same or a later one. */
const THERE: readonly (readonly [string, Position, Checkpoint])[] = [
  ["the record itself", positionAt(4), at(4)],
  ["a record beyond", positionAt(3), at(4)],
  ["a longer number", { sequenceNumber: "99" }, checkpointAt({ sequenceNumber: "100" })],
  ["the user record itself", positionAt(4, 3), at(4, 3)],
  ["user record 10 after 9", positionAt(4, 9), at(4, 10)],
  ["the whole aggregate", positionAt(4, 7), at(4)],
];

/** The same, where the store has an earlier position or none: it has lost commits. */
const LOST: readonly (readonly [string, Position, Checkpoint | undefined])[] = [
  ["nothing", positionAt(4), undefined],
  ["the record before", positionAt(4), at(3)],
  ["a shorter number", { sequenceNumber: "100" }, checkpointAt({ sequenceNumber: "99" })],
  ["the user record before", positionAt(4, 3), at(4, 2)],
  ["user record 9 of 10", positionAt(4, 10), at(4, 9)],
  ["a part of the record", positionAt(4), at(4, 7)],
];

/** A call's result or error, so that an error outside of the contract fails the assertion. */
const settled = <Value>(call: Promise<Value>): Promise<unknown> =>
  call.catch((error: unknown) => error);

const regressed = (shardId: string): object => ({
  code: "STORE_REGRESSED",
  retryable: false,
  shardId,
});

/** Each case has its own shard, because creating a separate database takes longer. */
async function expectEffects(
  harness: TransactionalStoreHarness,
  shardId: string,
  expected: readonly string[],
  what: string,
): Promise<void> {
  await expectAll(harness, expected, what, (effect) => effect.startsWith(`${shardId}#`));
}

async function put(
  store: TransactionalStore,
  shardId: string,
  checkpoint: Checkpoint | undefined,
): Promise<void> {
  if (checkpoint !== undefined) await store.setCheckpoint(SCOPE, { shardId, checkpoint });
}

export const afterScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "after.there",
    title: "a batch is committed where what the worker knows of is stored, or more",
    async run({ harness }) {
      const store = await harness.open();
      for (const [index, [what, after, stored]] of THERE.entries()) {
        const shardId = shard(index);
        await put(store, shardId, stored);
        const effects = effectsOf(5, 9, shardId);
        const call = transact(harness, store, writeOf(5, 9, { after, shardId }), { effects });
        expect(await settled(call), what).toMatchObject({ outcome: "committed" });
        expect(await store.getCheckpoint(SCOPE, shardId), what).toStrictEqual(at(9));
        await expectEffects(harness, shardId, effects, what);
      }
    },
  },
  {
    key: "after.lost",
    title: "a batch stores nothing where less is stored than the worker knows of",
    async run({ harness }) {
      const store = await harness.open();
      for (const [index, [what, after, stored]] of LOST.entries()) {
        const shardId = shard(index);
        await put(store, shardId, stored);
        const effects = effectsOf(5, 9, shardId);
        const call = transact(harness, store, writeOf(5, 9, { after, shardId }), { effects });
        expect(await rejection(call, what), what).toMatchObject(regressed(shardId));
        expect(await store.getCheckpoint(SCOPE, shardId), what).toStrictEqual(stored);
        await expectEffects(harness, shardId, [], what);
        // A restarted worker continues after the stored position.
        const next = await transact(harness, store, writeOf(5, 9, { shardId }), { effects });
        expect(next.outcome, what).toBe("committed");
      }
    },
  },
  {
    key: "after.done",
    title: "a batch that is stored already is answered so, whatever the worker knows of",
    async run({ harness }) {
      const store = await harness.open();
      for (const [index, checkpoint] of [at(6), SHARD_END].entries()) {
        const shardId = shard(index);
        await put(store, shardId, checkpoint);
        const write = writeOf(5, 9, { after: positionAt(4), shardId });
        const call = transact(harness, store, write, { effects: effectsOf(5, 9, shardId) });
        const done = { outcome: "already-done", stored: { kind: checkpoint.kind } };
        expect(await settled(call), checkpoint.kind).toMatchObject(done);
        await expectEffects(harness, shardId, [], checkpoint.kind);
      }
    },
  },
  {
    key: "after.reset",
    title: "a checkpoint that is reset while the work goes on takes no batch behind what is gone",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      for (const [index, to] of [undefined, at(2)].entries()) {
        const shardId = shard(index);
        const before = effectsOf(1, 4, shardId);
        await transact(harness, store, writeOf(1, 4, { shardId }), { effects: before });
        const write = writeOf(5, 9, { after: positionAt(4), shardId });
        const call = transact(harness, store, write, {
          effects: effectsOf(5, 9, shardId),
          meanwhile: () => other.resetCheckpoint(SCOPE, shardId, to),
        });
        expect(await rejection(call, "a batch after the reset")).toMatchObject(regressed(shardId));
        expect(await other.getCheckpoint(SCOPE, shardId)).toStrictEqual(to);
        await expectEffects(harness, shardId, before, "the effects before the reset");
      }
    },
  },
  {
    key: "after.fence",
    title: "a lost fence is answered first, and a held one does not make up for what is lost",
    async run({ harness }) {
      const store = await harness.open();
      if (!store.capabilities.fences) return;
      for (const [index, stored] of [undefined, at(2)].entries()) {
        const shardId = shard(index);
        await put(store, shardId, stored);
        await grant(harness, HELD, shardId);
        const write = writeOf(5, 9, { after: positionAt(4), shardId });
        const batch = { effects: effectsOf(5, 9, shardId) };
        for (const lost of [{}, { fence: { ...HELD, epoch: HELD.epoch - 1 } }]) {
          const call = transact(harness, store, { ...write, ...lost }, batch);
          expect(await settled(call)).toStrictEqual({ outcome: "lease-lost" });
        }
        const held = transact(harness, store, { ...write, fence: HELD }, batch);
        const error = await rejection(held, "a fence that holds");
        expect(error).toMatchObject(regressed(shardId));
        expect(await store.getCheckpoint(SCOPE, shardId)).toStrictEqual(stored);
        await expectEffects(harness, shardId, [], "the effects");
      }
    },
  },
  {
    key: "after.own",
    title: "the same in the user's own transaction",
    async run({ harness }) {
      const store = await harness.open();
      if (store.checkpointIn === undefined) return;
      for (const [index, [what, after, stored]] of [...THERE, ...LOST].entries()) {
        const shardId = shard(index);
        await put(store, shardId, stored);
        const effects = effectsOf(5, 9, shardId);
        const write = writeOf(5, 9, { after, shardId });
        const call = inOwn(harness, store, write, effects, "commit");
        const isThere = index < THERE.length;
        if (isThere) expect(await settled(call), what).toStrictEqual({ outcome: "written" });
        else expect(await rejection(call, what), what).toMatchObject(regressed(shardId));
        const checkpoint = isThere ? at(9) : stored;
        expect(await store.getCheckpoint(SCOPE, shardId), what).toStrictEqual(checkpoint);
        await expectEffects(harness, shardId, isThere ? effects : [], what);
      }
    },
  },
];
