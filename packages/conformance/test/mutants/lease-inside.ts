import { checkpointAt, type Checkpoint } from "@kc/core";
import { broken, meddling, mutant, ReferenceLeaseStore } from "../support/reference-lease-store.ts";
import type { LeaseMutant } from "../support/reference-lease-store.ts";

type InPosition = Extract<Checkpoint, { kind: "position" }>;

function changed(
  checkpoint: Checkpoint | undefined,
  change: (at: InPosition) => Checkpoint,
): Checkpoint | undefined {
  return checkpoint?.kind === "position" ? change(checkpoint) : checkpoint;
}

export const leaseInsideMutants: readonly LeaseMutant[] = [
  broken(
    "answers a claim with the aggregate's own number",
    "lease-inside.handed-over",
    "acquireLeases",
    async (acquire, _rows, call) => {
      const acquired = await acquire(...call);
      return acquired.map((lease) => {
        const at = changed(lease.checkpoint, ({ sequenceNumber }) =>
          checkpointAt({ sequenceNumber }),
        );
        return at === undefined ? lease : { ...lease, checkpoint: at };
      });
    },
  ),
  meddling(
    "forgets what is done beyond a position when its owner leaves",
    "lease-inside.handed-over",
    "leaveWorker",
    ({ shards }) => {
      for (const shard of shards.values()) {
        shard.checkpoint = changed(shard.checkpoint, (at) => checkpointAt(at));
      }
    },
  ),
  meddling(
    "sets a shard back to its last whole record when its owner is evicted",
    "lease-inside.handed-over",
    "evictWorker",
    ({ shards }) => {
      for (const shard of shards.values()) {
        shard.checkpoint = changed(shard.checkpoint, ({ sequenceNumber, wholeSequenceNumber }) =>
          checkpointAt({ sequenceNumber: wholeSequenceNumber ?? sequenceNumber }),
        );
      }
    },
  ),
  mutant(
    "compares no fence for a position in the record that stands there",
    "lease-inside.zombie",
    class extends ReferenceLeaseStore {
      override async setCheckpoint(
        ...[scope, write, options]: Parameters<ReferenceLeaseStore["setCheckpoint"]>
      ): ReturnType<ReferenceLeaseStore["setCheckpoint"]> {
        const shard = this.rows(scope).shard(write.shardId);
        if (shard.checkpoint?.sequenceNumber === write.checkpoint.sequenceNumber) {
          shard.checkpoint = write.checkpoint;
        }
        return super.setCheckpoint(scope, write, options);
      }
    },
  ),
];
