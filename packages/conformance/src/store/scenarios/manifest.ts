import { expect } from "vitest";
import { LEASE_OPERATION_NAMES } from "../../lease-store/operations.ts";
import type { StoreScenario } from "../harness.ts";

export const manifestScenarios: readonly StoreScenario[] = [
  {
    key: "manifest.values",
    title: "capabilities hold a usable flush interval and a known way to flush",
    async run({ harness }) {
      const { capabilities } = await harness.open();
      expect(["together", "spread"], "flush").toContain(capabilities.flush);
      const { flushIntervalMs } = capabilities;
      expect(
        Number.isInteger(flushIntervalMs) && flushIntervalMs > 0,
        `flushIntervalMs is a whole number of milliseconds above 0, not ${flushIntervalMs}`,
      ).toBe(true);
      const { maxAheadBytes = 0 } = capabilities;
      expect(
        Number.isInteger(maxAheadBytes) && maxAheadBytes >= 0,
        `maxAheadBytes is a whole number of bytes, not ${maxAheadBytes}`,
      ).toBe(true);
    },
  },
  {
    key: "manifest.leases",
    title:
      "a store that declares leases has every method of a LeaseStore, and fences; any other has none",
    async run({ harness }) {
      const store = await harness.open();
      const { leases, fences } = store.capabilities;
      const present = LEASE_OPERATION_NAMES.filter((method) => method in store);
      const expected = leases ? [...LEASE_OPERATION_NAMES] : [];
      expect(present, `capabilities.leases is ${leases}`).toStrictEqual(expected);
      if (leases) expect(fences, "a store with leases compares fences").toBe(true);
    },
  },
];
