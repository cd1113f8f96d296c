import {
  compareCheckpoints,
  type Checkpoint,
  type Fence,
  type LeaseStore,
  type WorkerMembership,
} from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { at, inside, numberAt, SCOPE, SHARD } from "../../store/fixtures.ts";
import { acquire, given, leases, worker } from "../fixtures.ts";
import type { LeaseStoreHarness, LeaseStoreScenario } from "../harness.ts";

const TEXT = "0000c1q5.abXY_-.B~01ZaA";
const MORE = "0000d1q5.abXY_-.B~01ZaA";

/** The checkpoint that each owner writes, and the last completely done record. */
const TURNS: readonly (readonly [
  write: (ahead: (text: string) => string | undefined) => Checkpoint,
  whole: number,
])[] = [
  [() => inside(2, 1, 1), 1],
  [(ahead) => inside(2, 10, 1, ahead(TEXT)), 1],
  [(ahead) => inside(2, 10, 1, ahead(MORE)), 1],
  [() => at(2), 2],
  [(ahead) => inside(3, 0, 2, ahead(TEXT)), 2],
  [(ahead) => inside(5, 2, 4, ahead(TEXT)), 4],
];

/**
 * Fails unless the checkpoint is read as it was written, with the last whole record if another
 * program reads it.
 */
async function expectAs(
  { byNumber }: LeaseStoreHarness,
  found: Checkpoint | undefined,
  [written, whole]: readonly [Checkpoint, number],
  what: string,
): Promise<void> {
  if (byNumber === undefined) return expect(compareCheckpoints(found!, written), what).toBe(0);
  expect(found, what).toStrictEqual(written);
  expect(await byNumber.read(SCOPE, SHARD), what).toBe(numberAt(whole));
}

export const leaseInsideScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "lease-inside.handed-over",
    title:
      "who claims a shard inside an aggregate finds the position and what is done beyond it, whether its former owner released it, left or was evicted",
    async run({ harness }) {
      const store: LeaseStore = await harness.open();
      const { maxAheadBytes = 0 } = store.capabilities;
      const ahead = (text: string): string | undefined => (maxAheadBytes > 0 ? text : undefined);
      const ways: readonly ((by: WorkerMembership, fence: Fence) => Promise<unknown>)[] = [
        (_by, fence) => store.releaseLeases(SCOPE, [{ shardId: SHARD, fence }]),
        (by) => store.evictWorker(SCOPE, { ...by, counter: 0 }),
        (by) => store.leaveWorker(SCOPE, by),
      ];
      await given(store, [], [SHARD]);
      let before: readonly [Checkpoint, number] | undefined;
      for (const [turn, [write, whole]] of TURNS.entries()) {
        const own = worker(`worker-${turn}`);
        await given(store, [own]);
        const [{ fence, checkpoint: claimed } = expect.fail(`turn ${turn}: the shard is free`)] =
          await acquire(store, own, SHARD);
        if (before !== undefined) await expectAs(harness, claimed, before, `claim ${turn}`);
        const checkpoint = write(ahead);
        const written = { shardId: SHARD, checkpoint, fence };
        await store.setCheckpoint(SCOPE, written);
        await ways[turn % ways.length]!(own, fence);
        before = [checkpoint, whole];
        const [row] = await leases(store);
        await expectAs(harness, row!.checkpoint, before, `the row after turn ${turn}`);
      }
    },
  },
  {
    key: "lease-inside.zombie",
    title: "who lost a shard inside an aggregate adds no user record to what is done of it",
    async run({ harness }) {
      const store = await harness.open();
      const [a, b] = [worker("worker-a"), worker("worker-b")];
      await given(store, [a, b], [SHARD]);
      const [old] = await acquire(store, a, SHARD);
      const first = { shardId: SHARD, checkpoint: inside(2, 1, 1), fence: old!.fence };
      await store.setCheckpoint(SCOPE, first);
      await store.evictWorker(SCOPE, { ...a, counter: 0 });
      await acquire(store, b, SHARD);
      const { maxAheadBytes = 0 } = store.capabilities;
      const late = [inside(2, 2, 1), at(2), ...(maxAheadBytes > 0 ? [inside(2, 1, 1, TEXT)] : [])];
      for (const checkpoint of late) {
        await rejection(store.setCheckpoint(SCOPE, { ...first, checkpoint }), "a late write");
        await expectAs(
          harness,
          await store.getCheckpoint(SCOPE, SHARD),
          [first.checkpoint, 1],
          "it",
        );
      }
    },
  },
];
