import { expect } from "vitest";
import { SCOPE } from "../../store/fixtures.ts";
import { given, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const workerRaceScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "evict.race",
    title:
      "of many observers one evicts; a heartbeat among them either saves the worker or is told",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      for (let round = 1; round <= 20; round += 1) {
        const victim = worker("victim", round);
        await given(stores[0]!, [victim]);
        const observe = stores.map((store) => store.evictWorker(SCOPE, { ...victim, counter: 0 }));
        const beat = stores[round % 3]!.heartbeat(SCOPE, victim);
        const answers = await Promise.all(observe);
        const evictions = answers.filter((answer) => answer === "evicted").length;
        const { outcome } = await beat;
        const told = `${answers.join(", ")}, heartbeat ${outcome}`;
        expect(evictions, told).toBe(outcome === "alive" ? 0 : 1);
        await stores[0]!.leaveWorker(SCOPE, victim);
      }
    },
  },
];
