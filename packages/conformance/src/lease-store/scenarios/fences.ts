import {
  compareCheckpoints,
  KcError,
  type AcquiredLease,
  type BulkCheckpointResult,
  type CheckpointWrite,
  type LeaseStore,
} from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { A, acquire, B, given, leases, LINEAGE } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

async function expectLost(store: LeaseStore, write: CheckpointWrite, what: string): Promise<void> {
  const error = await rejection(store.setCheckpoint(SCOPE, write), what);
  expect(KcError.is(error) && error.code, `${what}: ${String(error)}`).toBe("LEASE_LOST");
  expect(await store.setCheckpoints(SCOPE, [write]), `${what}, in bulk`).toStrictEqual([
    { outcome: "lease-lost" },
  ]);
}

/** Converts the error of a single write to the result of a bulk write. */
function lostLease(error: unknown): readonly BulkCheckpointResult[] {
  if (KcError.is(error) && error.code === "LEASE_LOST") return [{ outcome: "lease-lost" }];
  throw error;
}

export const leaseFenceScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "lease-fence.held",
    title:
      "the fence that a claim returns can write; while the lease is held, a write without a fence is refused",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A], [SHARD]);
      const [{ fence } = expect.fail("the shard is free")] = await acquire(store, A, SHARD);
      const write = { shardId: SHARD, checkpoint: at(1) };
      await expectLost(store, write, "a write without a fence");
      const written = { outcome: "written", stored: at(1) };
      expect(await store.setCheckpoint(SCOPE, { ...write, fence })).toStrictEqual(written);
      await store.releaseLeases(SCOPE, [{ shardId: SHARD, fence }]);
      await expectLost(store, { shardId: SHARD, checkpoint: at(2), fence }, "after a release");
    },
  },
  {
    key: "lease-fence.zombie",
    title: "who was evicted cannot write once another has claimed the shard",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [SHARD]);
      const [old] = await acquire(store, A, SHARD);
      await store.evictWorker(SCOPE, { ...A, counter: 0 });
      const [own] = await acquire(store, B, SHARD);
      const zombie = { shardId: SHARD, checkpoint: at(9), fence: old!.fence };
      await expectLost(store, zombie, "the evicted worker's write");
      await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1), fence: own!.fence });
      expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
    },
  },
  {
    key: "lease-fence.unclaimed",
    title: "an evicted worker writes, and gives back, what no other worker has claimed yet",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [SHARD, shard(1)]);
      const held = await acquire(store, A, SHARD, shard(1));
      await store.evictWorker(SCOPE, { ...A, counter: 0 });
      const [{ fence }] = held as [AcquiredLease];
      const write = { shardId: SHARD, checkpoint: at(1), fence };
      await expect(store.setCheckpoint(SCOPE, write)).resolves.toMatchObject({
        outcome: "written",
      });
      const further = { ...write, checkpoint: at(2) };
      const written = [{ outcome: "written", stored: at(2) }];
      expect(await store.setCheckpoints(SCOPE, [further]), "in bulk").toStrictEqual(written);
      await expectLost(store, { shardId: SHARD, checkpoint: at(3) }, "a write without a fence");
      expect(await store.releaseLeases(SCOPE, [held[1]!])).toStrictEqual([shard(1)]);
      const [claimed] = await acquire(store, B, SHARD);
      expect(claimed?.checkpoint, "the claim has it").toStrictEqual(at(2));
    },
  },
  {
    key: "lease-fence.covered",
    title: "a lost fence is reported also for a position that is already stored or is behind it",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [SHARD]);
      const [old] = await acquire(store, A, SHARD);
      const own = { shardId: SHARD, fence: old!.fence };
      await store.setCheckpoint(SCOPE, { ...own, checkpoint: at(5) });
      await store.evictWorker(SCOPE, { ...A, counter: 0 });
      await acquire(store, B, SHARD);
      for (const n of [5, 4, 6]) {
        await expectLost(store, { ...own, checkpoint: at(n) }, `position ${n} where 5 stands`);
      }
    },
  },
  {
    key: "lease-fence.race",
    title: "a zombie's write that meets a claim is either in the claim's checkpoint or refused",
    async run({ harness }) {
      const [store, zombies] = [await harness.open(), await harness.open()];
      const shardIds = Array.from({ length: 25 }, (_, index) => shard(index));
      await given(store, [A, B], shardIds);
      const held = await acquire(store, A, ...shardIds);
      await store.evictWorker(SCOPE, { ...A, counter: 0 });
      await Promise.all(
        held.map(async ({ shardId, fence }, index) => {
          const write = (n: number) => {
            const late = { shardId, checkpoint: at(n), fence };
            if (index % 2 === 0) return zombies.setCheckpoints(SCOPE, [late]);
            return zombies.setCheckpoint(SCOPE, late).then((answer) => [answer], lostLease);
          };
          const first = index % 3 === 0 ? [await write(1)] : [];
          const before = write(2);
          const claim = store.acquireLeases(SCOPE, B, [shardId]);
          const beside = write(3);
          const [claimed] = await claim;
          const answers = [...first, await before, await beside, await write(4)].flat();
          const stored = answers.flatMap((answer) => ("stored" in answer ? [answer.stored] : []));
          expect(answers.at(-1), "after the claim").toStrictEqual({ outcome: "lease-lost" });
          for (const checkpoint of stored) {
            const seen = claimed!.checkpoint;
            const covered = seen !== undefined && compareCheckpoints(checkpoint, seen) <= 0;
            expect(covered, `${shardId}: written, and unseen by the claim`).toBe(true);
          }
          const stands = await store.getCheckpoint(SCOPE, shardId);
          expect(stands, `${shardId}: what stands is what the claim saw`).toStrictEqual(
            claimed!.checkpoint,
          );
        }),
      );
    },
  },
  {
    key: "lease-fence.reset",
    title: "a forced reset takes the lease away: its fence is dead, and the next epoch is new",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [SHARD]);
      const [held] = await acquire(store, A, SHARD);
      const refused = await rejection(store.resetCheckpoint(SCOPE, SHARD, at(1)), "a reset");
      expect(KcError.is(refused) && refused.code).toBe("LEASE_LOST");
      await store.resetCheckpoint(SCOPE, SHARD, at(1), { force: true });
      const write = { shardId: SHARD, checkpoint: at(2), fence: held!.fence };
      await expectLost(store, write, "the fence of before");
      expect((await leases(store))[0]?.owner, "its owner").toBeUndefined();
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      await store.resetCheckpoint(SCOPE, shard(1), undefined);
      const left = (await leases(store)).map(({ shardId, lineage }) => ({ shardId, lineage }));
      expect(left, "no row is made or removed").toStrictEqual([
        { shardId: SHARD, lineage: LINEAGE },
      ]);
      await store.resetCheckpoint(SCOPE, SHARD, at(1));
      const [next] = await acquire(store, B, SHARD);
      expect(next!.fence.epoch, "the next epoch").toBeGreaterThan(held!.fence.epoch);
      expect(next!.checkpoint).toStrictEqual(at(1));
      const checkpoint = at(4);
      const own = { shardId: SHARD, checkpoint, fence: next!.fence };
      expect(await store.setCheckpoint(SCOPE, own)).toMatchObject({ outcome: "written" });
    },
  },
];
