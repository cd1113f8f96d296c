import type { MemoryStoreData } from "@kc/core";
import { LEASE_OPERATION_NAMES } from "../../src/lease-store/operations.ts";
import {
  leaseHarness,
  ReferenceLeaseStore,
  type LeaseMutant,
} from "../support/reference-lease-store.ts";

export const leaseLifecycleMutants: readonly LeaseMutant[] = LEASE_OPERATION_NAMES.flatMap(
  (name) => [
    {
      name: `lets ${name} through after dispose`,
      caughtBy: [`lease-closed.${name}`],
      makeHarness: () =>
        leaseHarness(
          class extends ReferenceLeaseStore {
            override async [Symbol.asyncDispose]() {}
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
