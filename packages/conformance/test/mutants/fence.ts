import { LeaseLostError, type CheckpointWrite, type Fence, type StoreScope } from "@kc/core";
import { mutant, type Mutant } from "../support/mutant.ts";
import { FencelessStore, ReferenceStore } from "../support/reference-store.ts";

/** Lets writes pass by another rule. */
function fencing(
  name: string,
  caughtBy: string,
  holds: (lease: Fence | undefined, fence: Fence | undefined) => boolean,
): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override holds(lease: Fence | undefined, fence: Fence | undefined): boolean {
        return holds(lease, fence);
      }
    },
  );
}

type Reset = Parameters<ReferenceStore["resetCheckpoint"]>;

export const fenceMutants: readonly Mutant[] = [
  fencing("declares fences and ignores them", "fence.nobody", () => true),
  fencing("takes a lease that is not there for any", "fence.nobody", (lease, fence) => {
    return lease === undefined || (lease.epoch === fence?.epoch && lease.owner === fence.owner);
  }),
  mutant(
    "refuses a fence although it declares none",
    "fence.nobody",
    class extends FencelessStore {
      override async setCheckpoint(...call: Parameters<ReferenceStore["setCheckpoint"]>) {
        if (call[1].fence) throw new LeaseLostError(call[1].shardId, "nobody holds it");
        return super.setCheckpoint(...call);
      }
    },
  ),
  fencing("compares epochs alone", "fence.held", (lease, fence) => lease?.epoch === fence?.epoch),
  fencing("compares owners alone", "fence.held", (lease, fence) => lease?.owner === fence?.owner),
  fencing("lets a later epoch pass", "fence.held", (lease, fence) => {
    return lease?.owner === fence?.owner && (fence?.epoch ?? 0) >= (lease?.epoch ?? 0);
  }),
  fencing("lets writes without a fence pass", "fence.held", (lease, fence) => {
    return !fence || (lease?.epoch === fence.epoch && lease.owner === fence.owner);
  }),
  mutant(
    "compares the fence only when it moves the checkpoint",
    "fence.held",
    class extends ReferenceStore {
      override advance(scope: StoreScope, write: CheckpointWrite) {
        const stored = this.read(this.shardKey(scope, write.shardId));
        const same = stored !== undefined && this.compare(write.checkpoint, stored) === 0;
        return same ? ({ outcome: "same", stored } as const) : super.advance(scope, write);
      }
    },
  ),
  mutant(
    "throws for a lost fence in bulk",
    "fence.bulk",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        const answers = await super.setCheckpoints(...call);
        const lost = answers.findIndex(({ outcome }) => outcome === "lease-lost");
        if (lost >= 0) throw new LeaseLostError(call[1][lost]!.shardId, "another holds it");
        return answers;
      }
    },
  ),
  mutant(
    "stops a bulk write at the first lost fence",
    "fence.bulk",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        let lost = false;
        await this.enter("setCheckpoints", call[2]);
        return call[1].map((write) => {
          const answer = lost ? ({ outcome: "lease-lost" } as const) : this.advance(call[0], write);
          lost ||= answer.outcome === "lease-lost";
          return answer;
        });
      }
    },
  ),
  mutant(
    "resets a held shard",
    "fence.reset",
    class extends ReferenceStore {
      override resetCheckpoint(...[scope, shardId, to, options]: Reset): Promise<void> {
        return super.resetCheckpoint(scope, shardId, to, { ...options, force: true });
      }
    },
  ),
  mutant(
    "leaves its owner the lease of a shard that was reset by force",
    "fence.reset",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: Reset): Promise<void> {
        const key = this.shardKey(scope, shardId);
        const lease = this.server.leases.get(key);
        await super.resetCheckpoint(scope, shardId, to, options);
        if (lease) this.server.leases.set(key, lease);
      }
    },
  ),
  mutant(
    "gives the lease away at a reset that it refuses",
    "fence.reset",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: Reset): Promise<void> {
        await super.resetCheckpoint(scope, shardId, to, options).finally(() => {
          this.server.leases.delete(this.shardKey(scope, shardId));
        });
      }
    },
  ),
];
