import type { StoreCapabilities } from "@kc/core";
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
        fences: true,
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
    "has leases but no fences",
    "manifest.leases",
    class extends LeasingStore {
      override readonly capabilities: StoreCapabilities = {
        leases: true,
        fences: false,
        flushIntervalMs: 1000,
        flush: "together",
      };
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
