import { KcError } from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { at, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";

const LEASE_METHODS = [
  "joinWorker",
  "heartbeat",
  "listWorkers",
  "evictWorker",
  "leaveWorker",
  "listLeases",
  "acquireLeases",
  "releaseLeases",
  "removeShards",
] as const;

const FENCE = { epoch: 1, owner: "worker#incarnation" } as const;

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
    },
  },
  {
    key: "manifest.leases",
    title: "a store has every method of a LeaseStore if it says so, and none if it does not",
    async run({ harness }) {
      const store = await harness.open();
      const { leases } = store.capabilities;
      const present = LEASE_METHODS.filter((method) => method in store);
      const expected = leases ? [...LEASE_METHODS] : [];
      expect(present, `capabilities.leases is ${leases}`).toStrictEqual(expected);
    },
  },
  {
    key: "manifest.fence",
    title: "without leases a fence is ignored; with leases one that nobody holds is refused",
    async run({ harness }) {
      const store = await harness.open();
      const one = { shardId: SHARD, checkpoint: at(1), fence: FENCE };
      const other = { shardId: shard(1), checkpoint: at(1), fence: FENCE };
      if (store.capabilities.fences) {
        const error = await rejection(store.setCheckpoint(SCOPE, one), "a fence nobody holds");
        expect(KcError.is(error) && error.code, "the error's code").toBe("LEASE_LOST");
        const outcomes = await store.setCheckpoints(SCOPE, [other]);
        expect(outcomes, "a fence nobody holds, in bulk").toStrictEqual([
          { outcome: "lease-lost" },
        ]);
        expect(await store.getCheckpoints(SCOPE), "nothing is written").toStrictEqual(new Map());
      } else {
        const written = { outcome: "written", stored: at(1) };
        const answer = store.setCheckpoint(SCOPE, one);
        await expect(answer, "a fence is ignored").resolves.toStrictEqual(written);
        const answers = store.setCheckpoints(SCOPE, [other]);
        await expect(answers, "a fence is ignored in bulk").resolves.toStrictEqual([written]);
      }
    },
  },
];
