import type { StoreCapabilities } from "@kc/core";
import { ReferenceStore } from "./reference-store.ts";

const refused = (): never => {
  throw new Error("this store is here for its manifest alone");
};

/** The manifest's other answer: a store that says it has leases, and has their methods. */
export class LeasingStore extends ReferenceStore {
  override readonly capabilities: StoreCapabilities = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "spread",
  };
  readonly joinWorker = refused;
  readonly heartbeat = refused;
  readonly listWorkers = refused;
  readonly evictWorker = refused;
  readonly leaveWorker = refused;
  readonly putShards = refused;
  readonly listLeases = refused;
  readonly acquireLeases = refused;
  readonly releaseLeases = refused;
  readonly removeShards = refused;
}
