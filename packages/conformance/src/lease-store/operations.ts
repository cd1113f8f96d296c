import type { CallOptions, LeaseStore } from "@kc/core";
import { SCOPE, shard, SHARD } from "../store/fixtures.ts";
import { A, B, LINEAGE } from "./fixtures.ts";

const NAMES = [
  "joinWorker",
  "heartbeat",
  "listWorkers",
  "evictWorker",
  "leaveWorker",
  "putShards",
  "listLeases",
  "acquireLeases",
  "releaseLeases",
  "removeShards",
] as const;

export type LeaseOperationName = (typeof NAMES)[number];

export const LEASE_OPERATION_NAMES: readonly LeaseOperationName[] = NAMES;

/** A's lease of SHARD, as the operations below use it. */
const FENCE = { epoch: 1, owner: `${A.workerId}#${A.incarnation}` };

/**
 * The operations that a LeaseStore has in addition to a Store's, each as one call that has an
 * effect if A is a member, holds SHARD, and `shard(1)` is free.
 */
export const LEASE_OPERATIONS: Readonly<
  Record<LeaseOperationName, (store: LeaseStore, options?: CallOptions) => Promise<unknown>>
> = {
  joinWorker: (store, options) => store.joinWorker(SCOPE, B, options),
  heartbeat: (store, options) => store.heartbeat(SCOPE, A, options),
  listWorkers: (store, options) => store.listWorkers(SCOPE, options),
  evictWorker: (store, options) => store.evictWorker(SCOPE, { ...A, counter: 0 }, options),
  leaveWorker: (store, options) => store.leaveWorker(SCOPE, A, options),
  putShards: (store, options) =>
    store.putShards(SCOPE, [{ shardId: shard(2), lineage: LINEAGE }], options),
  listLeases: (store, options) => store.listLeases(SCOPE, options),
  acquireLeases: (store, options) => store.acquireLeases(SCOPE, A, [shard(1)], options),
  releaseLeases: (store, options) =>
    store.releaseLeases(SCOPE, [{ shardId: SHARD, fence: FENCE }], options),
  removeShards: (store, options) => store.removeShards(SCOPE, [shard(1)], options),
};
