import type { AcquiredLease, LeaseRow, LeaseStore, WorkerMembership } from "@kc/core";
import { SCOPE } from "../store/fixtures.ts";

/** A worker's `n`-th incarnation. */
export function worker(
  workerId: string,
  n = 1,
  own: Partial<WorkerMembership> = {},
): WorkerMembership {
  return { workerId, incarnation: `i${n}`, weight: 1, maxShards: undefined, ...own };
}

export const A: WorkerMembership = worker("worker-a");
export const B: WorkerMembership = worker("worker-b");

export const LINEAGE = '{"parents":[]}';

/** Workers that have joined, and shards that have rows. */
export async function given(
  store: LeaseStore,
  workers: readonly WorkerMembership[],
  shardIds: readonly string[] = [],
): Promise<void> {
  for (const each of workers) await store.joinWorker(SCOPE, each);
  if (shardIds.length > 0) {
    await store.putShards(
      SCOPE,
      shardIds.map((shardId) => ({ shardId, lineage: LINEAGE })),
    );
  }
}

export function byShard<Row extends { readonly shardId: string }>(rows: readonly Row[]): Row[] {
  return rows.toSorted((a, b) => (a.shardId < b.shardId ? -1 : 1));
}

export async function leases(store: LeaseStore): Promise<readonly LeaseRow[]> {
  return byShard((await store.listLeases(SCOPE)).leases);
}

export async function acquire(
  store: LeaseStore,
  by: WorkerMembership,
  ...shardIds: readonly string[]
): Promise<readonly AcquiredLease[]> {
  return byShard(await store.acquireLeases(SCOPE, by, shardIds));
}

export async function revision(store: LeaseStore): Promise<number> {
  return (await store.listWorkers(SCOPE)).revision;
}
