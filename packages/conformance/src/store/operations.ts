import type { CallOptions, Store } from "@kc/core";
import { applicationRow, at, SCOPE, SHARD } from "./fixtures.ts";

const NAMES = [
  "openApplication",
  "getCheckpoint",
  "getCheckpoints",
  "setCheckpoint",
  "setCheckpoints",
  "resetCheckpoint",
] as const;

export type OperationName = (typeof NAMES)[number];

export const OPERATION_NAMES: readonly OperationName[] = NAMES;

/** The operations of every store, each as one call, for scenarios that apply to all of them. */
export const OPERATIONS: Readonly<
  Record<OperationName, (store: Store, options?: CallOptions) => Promise<unknown>>
> = {
  openApplication: (store, options) => store.openApplication(SCOPE, applicationRow(), options),
  getCheckpoint: (store, options) => store.getCheckpoint(SCOPE, SHARD, options),
  getCheckpoints: (store, options) => store.getCheckpoints(SCOPE, options),
  setCheckpoint: (store, options) =>
    store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(20) }, options),
  setCheckpoints: (store, options) =>
    store.setCheckpoints(SCOPE, [{ shardId: SHARD, checkpoint: at(20) }], options),
  resetCheckpoint: (store, options) => store.resetCheckpoint(SCOPE, SHARD, at(5), options),
};
