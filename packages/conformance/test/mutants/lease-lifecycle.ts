import type { LeaseStore, MemoryApplication, MemoryStoreData } from "@kc/core";
import { LEASE_OPERATION_NAMES } from "../../src/lease-store/operations.ts";
import {
  broken,
  leaseHarness,
  meddling,
  mutant,
  ReferenceLeaseStore,
  type LeaseMutant,
} from "../support/reference-lease-store.ts";

/** The rows of one application, emptied. */
function empty({ workers, shards }: MemoryApplication): void {
  workers.clear();
  shards.clear();
}

export const leaseRestartMutants: readonly LeaseMutant[] = [
  mutant(
    "lets workers leave with the process that entered them",
    "lease-restart.everything",
    class extends ReferenceLeaseStore {
      readonly #entered: Parameters<LeaseStore["joinWorker"]>[] = [];
      override joinWorker(...call: Parameters<LeaseStore["joinWorker"]>) {
        this.#entered.push(call);
        return super.joinWorker(...call);
      }
      override async close() {
        for (const [scope, worker] of this.#entered) await super.leaveWorker(scope, worker);
        await super.close();
      }
    },
  ),
  meddling("restarts a group with its application", "lease-setup.kept", "openApplication", empty),
  broken(
    "restarts a group when it is opened again",
    "lease-setup.kept",
    "openApplication",
    async (open, rows, call) => {
      const answer = await open(...call);
      if (answer.outcome === "existing") empty(rows);
      return answer;
    },
  ),
];

export const leaseLifecycleMutants: readonly LeaseMutant[] = LEASE_OPERATION_NAMES.flatMap(
  (name) => [
    {
      name: `lets ${name} through after dispose`,
      caughtBy: [`lease-closed.${name}`],
      makeHarness: () =>
        leaseHarness(
          class extends ReferenceLeaseStore {
            override async close() {}
          },
        ),
    },
    {
      name: `does not look at the signal in ${name}`,
      caughtBy: [`lease-abort.${name}`],
      makeHarness: () =>
        leaseHarness(
          class extends ReferenceLeaseStore {
            constructor(options: { readonly data: MemoryStoreData }) {
              super(options);
              const original = this[name] as (...p: unknown[]) => Promise<unknown>;
              Object.assign(this, {
                [name]: (...parameters: unknown[]) =>
                  original.apply(this, parameters.slice(0, original.length - 1)),
              });
            }
          },
        ),
    },
    {
      name: `answers ${name} in an outage`,
      caughtBy: [`lease-outage.${name}`],
      makeHarness: () => leaseHarness(ReferenceLeaseStore, [name]),
    },
  ],
);
