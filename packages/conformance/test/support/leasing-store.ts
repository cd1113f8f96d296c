import {
  LeaseLostError,
  type BulkCheckpointResult,
  type CheckpointWrite,
  type StoreCapabilities,
} from "@kc/core";
import { ReferenceStore } from "./reference-store.ts";

const refused = (): never => {
  throw new Error("this store is here for its manifest alone");
};

/** The manifest's other answer: a store with leases, in which nobody holds one yet. */
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
  readonly listLeases = refused;
  readonly acquireLeases = refused;
  readonly releaseLeases = refused;
  readonly removeShards = refused;

  override async setCheckpoint(
    ...[scope, write, options]: Parameters<ReferenceStore["setCheckpoint"]>
  ) {
    if (write.fence !== undefined) throw new LeaseLostError(write.shardId, "nobody holds it");
    return super.setCheckpoint(scope, write, options);
  }

  override async setCheckpoints(
    ...[scope, writes, options]: Parameters<ReferenceStore["setCheckpoints"]>
  ): ReturnType<ReferenceStore["setCheckpoints"]> {
    await this.enter("setCheckpoints", options);
    return writes.map((write: CheckpointWrite): BulkCheckpointResult =>
      write.fence === undefined ? this.advance(scope, write) : { outcome: "lease-lost" },
    );
  }
}
