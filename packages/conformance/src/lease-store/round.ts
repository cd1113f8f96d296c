import {
  ownerOf,
  SHARD_END,
  type LeaseStore,
  type StoreScope,
  type WorkerMembership,
} from "@kc/core";
import { expect } from "vitest";
import { applicationRow, at, shard } from "../store/fixtures.ts";

/** Names that wrong quoting, escaping or character sets would change. */
const SCOPE: StoreScope = { application: `o'brien \\ "Läufe" 注文 🦊 ?`, streamName: "orders" };
const SHARDS = 12;

/** A weight that needs all digits of a double. */
const worker = (workerId: string): WorkerMembership => ({
  workerId,
  incarnation: "1",
  weight: 1 / 3,
  maxShards: undefined,
});

/**
 * Makes every kind of call of workers once: open, join, claim, flush, read, list, hand over, and
 * fence out the previous owner. It takes a second instead of the suites' minutes, so it can run for
 * each setting of a server, driver or connection. The database must be empty. @throws the first
 * expectation that fails
 */
export async function leaseStoreRound(store: LeaseStore, scope: StoreScope = SCOPE): Promise<void> {
  const row = applicationRow(scope);
  expect(await store.openApplication(scope, row)).toStrictEqual({ outcome: "created", row });
  expect(await store.openApplication(scope, row)).toStrictEqual({ outcome: "existing", row });

  const [first, second] = [worker("first"), worker("second")];
  expect(await store.joinWorker(scope, first)).toMatchObject({ outcome: "joined" });
  const ids = Array.from({ length: SHARDS }, (_, index) => shard(index));
  await store.putShards(
    scope,
    ids.map((shardId) => ({ shardId, lineage: `{"parents":["\\\\ '"]}` })),
  );
  const held = await store.acquireLeases(scope, first, ids);
  expect(held.map(({ shardId }) => shardId).toSorted()).toStrictEqual(ids);

  const written = held.map(({ shardId, fence }, index) => ({
    shardId,
    fence,
    checkpoint: index === 0 ? SHARD_END : at(index, index % 2 === 0 ? undefined : index),
  }));
  const answers = await store.setCheckpoints(scope, written);
  expect(answers.map(({ outcome }) => outcome)).toStrictEqual(written.map(() => "written"));
  const again = await store.setCheckpoints(scope, written);
  expect(again.map(({ outcome }) => outcome)).toStrictEqual(written.map(() => "same"));
  const [, one] = written;
  expect(await store.setCheckpoint(scope, { ...one!, checkpoint: at(0) })).toStrictEqual({
    outcome: "behind",
    stored: one!.checkpoint,
  });
  const stands = new Map(written.map(({ shardId, checkpoint }) => [shardId, checkpoint]));
  expect(await store.getCheckpoints(scope)).toEqual(stands);
  expect(await store.getCheckpoint(scope, one!.shardId)).toStrictEqual(one!.checkpoint);

  const { revision, leases } = await store.listLeases(scope);
  expect(new Map(leases.map((lease) => [lease.shardId, lease.checkpoint]))).toEqual(stands);
  expect(new Set(leases.map(({ owner }) => owner))).toStrictEqual(new Set([ownerOf(first)]));
  expect(await store.heartbeat(scope, first)).toStrictEqual({
    outcome: "alive",
    counter: 1,
    revision,
  });
  await store.joinWorker(scope, second);
  const { workers } = await store.listWorkers(scope);
  expect(workers).toHaveLength(2);
  expect(workers.find(({ workerId }) => workerId === "first")).toStrictEqual({
    ...first,
    counter: 1,
  });

  expect(await store.evictWorker(scope, { ...first, counter: 1 })).toBe("evicted");
  const taken = await store.acquireLeases(scope, second, ids);
  const found = new Map(taken.map(({ shardId, checkpoint }) => [shardId, checkpoint]));
  expect(found).toEqual(stands);
  const late = await store.setCheckpoints(
    scope,
    written.map((write) => ({ ...write, checkpoint: at(100) })),
  );
  expect(late).toStrictEqual(written.map(() => ({ outcome: "lease-lost" })));
  expect(await store.getCheckpoints(scope)).toEqual(stands);

  expect((await store.releaseLeases(scope, taken)).toSorted()).toStrictEqual(ids);
  await store.resetCheckpoint(scope, one!.shardId, at(0, 7));
  expect(await store.getCheckpoint(scope, one!.shardId)).toStrictEqual(at(0, 7));
  await store.removeShards(scope, ids);
  expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
  await store.leaveWorker(scope, second);
  expect((await store.listWorkers(scope)).revision).toBeGreaterThan(revision);
}
