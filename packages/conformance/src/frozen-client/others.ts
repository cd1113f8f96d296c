import type { CallOptions, CheckpointWrite, LeaseStore, StoreScope } from "@kc/core";
import { expect } from "vitest";
import { byShard, LINEAGE, worker } from "../lease-store/fixtures.ts";
import { applicationRow, at, shard } from "../store/fixtures.ts";
import { DONE, FREE, HELD, NEW, takenOver } from "./calls.ts";

export const OTHER = worker("other");

/** Calls of another worker, each of which must end within the lease's duration. */
interface Deadline {
  readonly options: CallOptions;
  readonly answer: <T>(what: string, call: Promise<T>) => Promise<T>;
}

export function deadline(leaseMs: number): Deadline {
  return {
    options: { signal: AbortSignal.timeout(leaseMs) },
    answer: (what, call) =>
      call.catch((error: unknown) =>
        expect.fail(`another worker's ${what} must pass within ${leaseMs} ms: ${String(error)}`),
      ),
  };
}

/**
 * Another worker does everything that a group needs: it evicts the silent worker, claims its shards
 * and writes them. Returns what it then holds and has written. @param taken the shard of a forced
 * reset, which may arrive at any time and end this worker's lease
 */
export async function expectToGoOn(
  store: LeaseStore,
  scope: StoreScope,
  leaseMs: number,
  taken?: string,
): Promise<readonly CheckpointWrite[]> {
  const { options, answer } = deadline(leaseMs);
  await answer("openApplication", store.openApplication(scope, applicationRow(scope), options));
  const joined = await answer("joinWorker", store.joinWorker(scope, OTHER, options));
  expect(joined.outcome).toBe("joined");
  for (;;) {
    const { workers } = await answer("listWorkers", store.listWorkers(scope, options));
    const silent = workers.find(({ workerId }) => workerId !== OTHER.workerId);
    if (silent === undefined) break;
    // `moved` and `gone`: a message from before the freeze arrived only now.
    await answer("evictWorker", store.evictWorker(scope, silent, options));
  }
  await answer("listLeases", store.listLeases(scope, options));
  const shards = [...HELD, FREE, DONE];
  const held = await answer("acquireLeases", store.acquireLeases(scope, OTHER, shards, options));
  const ids = held.map(({ shardId }) => shardId);
  expect(ids, "the shards that the other worker claims").toEqual(
    expect.arrayContaining([...HELD, FREE].filter((shardId) => shardId !== taken)),
  );
  const writes = takenOver(held);
  const results = await answer("setCheckpoints", store.setCheckpoints(scope, writes, options));
  const kept = writes.filter(({ shardId }) => shardId !== taken);
  const outcomes = results.flatMap(({ outcome }, n) =>
    writes[n]!.shardId === taken ? [] : [outcome],
  );
  expect(outcomes).toStrictEqual(kept.map(() => "written"));
  await answer("setCheckpoint", store.setCheckpoint(scope, kept[0]!, options));
  await answer("getCheckpoint", store.getCheckpoint(scope, HELD[0]!, options));
  await answer("getCheckpoints", store.getCheckpoints(scope, options));
  const beat = await answer("heartbeat", store.heartbeat(scope, OTHER, options));
  expect(beat.outcome).toBe("alive");
  const rows = [NEW, shard(8)].map((shardId) => ({ shardId, lineage: LINEAGE }));
  await answer("putShards", store.putShards(scope, rows, options));
  await answer("resetCheckpoint", store.resetCheckpoint(scope, shard(8), at(0), options));
  await answer("removeShards", store.removeShards(scope, [NEW, shard(8)], options));
  return writes;
}

/** Fails unless its leases and writes are unchanged by late messages of the evicted worker. */
export async function expectToHold(
  store: LeaseStore,
  scope: StoreScope,
  written: readonly CheckpointWrite[],
  leaseMs: number,
): Promise<void> {
  const { options, answer } = deadline(leaseMs);
  const ids = new Set(written.map(({ shardId }) => shardId));
  const { leases } = await answer("listLeases", store.listLeases(scope, options));
  const found = byShard(leases)
    .filter(({ shardId }) => ids.has(shardId))
    .map(({ shardId, epoch, owner, checkpoint }) => ({ shardId, epoch, owner, checkpoint }));
  const expected = byShard(written).map(({ shardId, fence, checkpoint }) => ({
    shardId,
    ...fence,
    checkpoint,
  }));
  expect(found, "what the other worker holds and wrote").toStrictEqual(expected);
  const read = await answer("getCheckpoints", store.getCheckpoints(scope, options));
  for (const { shardId, checkpoint } of written) {
    expect(read.get(shardId), shardId).toStrictEqual(checkpoint);
  }
  const beat = await answer("heartbeat", store.heartbeat(scope, OTHER, options));
  expect(beat.outcome).toBe("alive");
}

/** Releases all leases and leaves. @param taken as above */
export async function expectToLeave(
  store: LeaseStore,
  scope: StoreScope,
  written: readonly CheckpointWrite[],
  leaseMs: number,
  taken?: string,
): Promise<void> {
  const { options, answer } = deadline(leaseMs);
  const held = written.map(({ shardId, fence }) => ({ shardId, fence: fence! }));
  const released = await answer("releaseLeases", store.releaseLeases(scope, held, options));
  const kept = held.map(({ shardId }) => shardId).filter((shardId) => shardId !== taken);
  expect(released.filter((shardId) => shardId !== taken).toSorted()).toEqual(kept.toSorted());
  await answer("leaveWorker", store.leaveWorker(scope, OTHER, options));
}
