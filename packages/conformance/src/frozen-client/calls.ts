import {
  compareCheckpoints,
  type AcquiredLease,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type LeaseStore,
  type StoreScope,
} from "@kc/core";
import { worker, LINEAGE } from "../lease-store/fixtures.ts";
import type { LeaseOperationName } from "../lease-store/operations.ts";
import { applicationRow, at, shard } from "../store/fixtures.ts";
import type { OperationName } from "../store/operations.ts";

export const FROZEN = worker("frozen");
/**
 * Shards that the worker holds (first, last and one in between), one that is free, one that has
 * ended, one without a row.
 */
export const HELD: readonly string[] = [0, 1, 2].map(shard);
export const [FREE, DONE, NEW] = [shard(3), shard(4), shard(5)];

/** The state of the worker that will freeze, which its calls use. */
export interface Before {
  readonly store: LeaseStore;
  readonly scope: StoreScope;
  readonly held: readonly AcquiredLease[];
}

export type Call = (before: Before, options: CallOptions) => Promise<unknown>;

/**
 * The position written before, and the one that the call writes, which is beyond that of the worker
 * that takes over.
 */
const [BEFORE, LATE] = [1, 9].map((n) => at(n));

function writesOf(leases: readonly AcquiredLease[], checkpoint: Checkpoint): CheckpointWrite[] {
  return leases.map(({ shardId, fence }) => ({ shardId, fence, checkpoint }));
}

/**
 * The writes of the worker that has claimed its shards: beyond `LATE` if that was written before
 * the claim.
 */
export function takenOver(leases: readonly AcquiredLease[]): readonly CheckpointWrite[] {
  return leases.map(({ shardId, fence, checkpoint }) => {
    const isLate = checkpoint !== undefined && compareCheckpoints(checkpoint, LATE!) >= 0;
    return { shardId, fence, checkpoint: at(isLate ? 10 : 3) };
  });
}

/**
 * A worker that has joined, claimed and flushed, and is about to make the call in which it freezes.
 */
export async function givenWorker(store: LeaseStore, scope: StoreScope): Promise<Before> {
  await store.openApplication(scope, applicationRow(scope));
  await store.joinWorker(scope, FROZEN);
  const rows = [...HELD, FREE, DONE].map((shardId) => ({ shardId, lineage: LINEAGE }));
  await store.putShards(scope, rows);
  const held = await store.acquireLeases(scope, FROZEN, HELD);
  await store.setCheckpoints(scope, writesOf(held, BEFORE!));
  return { store, scope, held };
}

/** Every operation of a LeaseStore, as one call that has an effect if possible. */
export const CALLS: Readonly<Record<OperationName | LeaseOperationName, Call>> = {
  openApplication: ({ store, scope }, options) => {
    const other = { ...scope, application: `${scope.application}-2` };
    return store.openApplication(other, applicationRow(other), options);
  },
  getCheckpoint: ({ store, scope }, options) => store.getCheckpoint(scope, HELD[0]!, options),
  getCheckpoints: ({ store, scope }, options) => store.getCheckpoints(scope, options),
  setCheckpoint: ({ store, scope, held }, options) =>
    store.setCheckpoint(scope, writesOf(held, LATE!)[0]!, options),
  setCheckpoints: ({ store, scope, held }, options) =>
    store.setCheckpoints(scope, writesOf(held, LATE!), options),
  resetCheckpoint: ({ store, scope }, options) =>
    store.resetCheckpoint(scope, DONE, at(1), options),
  joinWorker: ({ store, scope }, options) => store.joinWorker(scope, worker("joins"), options),
  heartbeat: ({ store, scope }, options) => store.heartbeat(scope, FROZEN, options),
  listWorkers: ({ store, scope }, options) => store.listWorkers(scope, options),
  evictWorker: ({ store, scope }, options) =>
    store.evictWorker(scope, { ...FROZEN, counter: 0 }, options),
  leaveWorker: ({ store, scope }, options) => store.leaveWorker(scope, FROZEN, options),
  putShards: ({ store, scope }, options) =>
    store.putShards(
      scope,
      [
        { shardId: NEW, lineage: LINEAGE },
        { shardId: FREE, lineage: '{"parents":["changed"]}', replaces: LINEAGE },
      ],
      options,
    ),
  listLeases: ({ store, scope }, options) => store.listLeases(scope, options),
  acquireLeases: ({ store, scope }, options) => store.acquireLeases(scope, FROZEN, [FREE], options),
  releaseLeases: ({ store, scope, held }, options) => store.releaseLeases(scope, held, options),
  removeShards: ({ store, scope }, options) => store.removeShards(scope, [DONE], options),
};

/** A repeated flush, for instance after a lost answer: everything is already written. */
export const repeatedFlush: Call = ({ store, scope, held }, options) =>
  store.setCheckpoints(scope, writesOf(held, BEFORE!), options);

/** The call that takes a lease from its owner, even if it arrives late. */
export const forcedReset: Call = ({ store, scope }, options) =>
  store.resetCheckpoint(scope, TAKEN, undefined, { ...options, force: true });
/** The shard whose lease `forcedReset` ends. */
export const TAKEN = HELD[0]!;
