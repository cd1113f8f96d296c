import { LeaseLostError, type StoreCapabilities } from "@kc/core";
import { LeasingStore } from "../support/leasing-store.ts";
import { mutant, type Mutant } from "../support/mutant.ts";
import { referenceHarness, ReferenceServer, ReferenceStore } from "../support/reference-store.ts";

function declares(name: string, caughtBy: string, own: Partial<StoreCapabilities>): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override readonly capabilities: StoreCapabilities = {
        leases: false,
        fences: false,
        flushIntervalMs: 1000,
        flush: "together",
        ...own,
      };
    },
  );
}

export const manifestMutants: readonly Mutant[] = [
  declares("has a flush interval of 0", "manifest.values", { flushIntervalMs: 0 }),
  declares("has a flush interval in seconds", "manifest.values", { flushIntervalMs: 0.5 }),
  declares("claims leases that it does not have", "manifest.leases", { leases: true }),
  mutant(
    "hides leases that it has",
    "manifest.leases",
    class extends ReferenceStore {
      readonly joinWorker = async () => ({ outcome: "joined", revision: 1 }) as const;
    },
  ),
  mutant(
    "refuses a fence although it has no leases",
    "manifest.fence",
    class extends ReferenceStore {
      override async setCheckpoint(...call: Parameters<ReferenceStore["setCheckpoint"]>) {
        if (call[1].fence) throw new LeaseLostError(call[1].shardId, "nobody holds it");
        return super.setCheckpoint(...call);
      }
    },
  ),
  mutant(
    "lets a fence pass that nobody holds",
    "manifest.fence",
    class extends LeasingStore {
      override setCheckpoint(...call: Parameters<ReferenceStore["setCheckpoint"]>) {
        return ReferenceStore.prototype.setCheckpoint.apply(this, call);
      }
    },
  ),
  mutant(
    "lets a fence pass in bulk that nobody holds",
    "manifest.fence",
    class extends LeasingStore {
      override setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        return ReferenceStore.prototype.setCheckpoints.apply(this, call);
      }
    },
  ),
];

const sharedServer = new ReferenceServer();

/** Faults of the harness, not of the store. */
export const harnessMutants: readonly Mutant[] = [
  {
    name: "a harness whose makes share one database",
    caughtBy: ["harness.isolated"],
    makeHarness: async () => referenceHarness(ReferenceStore, sharedServer),
  },
  {
    name: "a harness whose handles have a database each",
    caughtBy: ["harness.shared"],
    makeHarness: async () => ({
      ...referenceHarness(),
      open: async () => new ReferenceStore(new ReferenceServer()),
    }),
  },
  {
    name: "a harness with one handle for all",
    caughtBy: ["harness.shared"],
    makeHarness: async () => {
      const only = new ReferenceStore(new ReferenceServer());
      return { ...referenceHarness(), open: async () => only };
    },
  },
];
