import type { LeaseStore } from "@kc/core";
import { setImmediate as othersTurn } from "node:timers/promises";
import { expect } from "vitest";
import { SCOPE } from "../../store/fixtures.ts";
import { given, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const workerRaceScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "worker.join-race",
    title:
      "of several incarnations that join under one id at once, one joins and the others are refused",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      for (let round = 0; round < 20; round += 1) {
        const rivals = [1, 2, 3].map((n) => worker("wanted", 3 * round + n));
        // Each call is made twice, as if the first reply were late.
        const answers = await Promise.all(
          [...rivals, ...rivals].map((rival, index) =>
            stores[index % 3]!.joinWorker(SCOPE, rival).then(({ outcome }) => ({ rival, outcome })),
          ),
        );
        const { workers } = await stores[0]!.listWorkers(SCOPE);
        expect(workers).toHaveLength(1);
        const [winner] = workers;
        for (const { rival, outcome } of answers) {
          const what = `${rival.incarnation}, where ${winner!.incarnation} stands`;
          const own = rival.incarnation === winner!.incarnation;
          expect(outcome, what).toBe(own ? "joined" : "duplicate");
        }
        await stores[0]!.leaveWorker(SCOPE, winner!);
      }
    },
  },
  {
    key: "worker.leave-race",
    title: "an incarnation that joins while the one before it leaves or is evicted stays",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      const [store, second, third] = stores as [LeaseStore, LeaseStore, LeaseStore];
      for (let round = 1; round <= 20; round += 1) {
        const [before, next] = [worker("restarted", 2 * round), worker("restarted", 2 * round + 1)];
        await given(store, [before]);
        const joins = async (): Promise<void> => {
          while ((await third.joinWorker(SCOPE, next)).outcome !== "joined") await othersTurn();
        };
        const late = async (turns: number, call: () => Promise<unknown>): Promise<void> => {
          for (let turn = 0; turn < turns; turn += 1) await othersTurn();
          await call();
        };
        await Promise.all([
          late(round % 3, () => second.leaveWorker(SCOPE, before)),
          late(round % 2, () => second.evictWorker(SCOPE, { ...before, counter: 0 })),
          store.leaveWorker(SCOPE, before),
          joins(),
        ]);
        const { workers } = await store.listWorkers(SCOPE);
        expect(workers, `round ${round}`).toStrictEqual([{ ...next, counter: 0 }]);
        await store.leaveWorker(SCOPE, next);
      }
    },
  },
  {
    key: "worker.heartbeat-race",
    title: "heartbeats at once, of several workers, are all counted",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      const workers = [worker("one"), worker("two")];
      await given(stores[0]!, workers);
      const beats = Array.from({ length: 60 }, (_, index) =>
        stores[index % 3]!.heartbeat(SCOPE, workers[index % 2]!),
      );
      const answers = await Promise.all(beats);
      for (const answer of answers) expect(answer.outcome).toBe("alive");
      const counters = (await stores[0]!.listWorkers(SCOPE)).workers.map(({ counter }) => counter);
      expect(counters).toStrictEqual([30, 30]);
    },
  },
  {
    key: "evict.race",
    title:
      "of many observers one evicts; a heartbeat among them either saves the worker or is refused",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open(), await harness.open()];
      for (let round = 1; round <= 20; round += 1) {
        const victim = worker("victim", round);
        await given(stores[0]!, [victim]);
        const beats = () => stores[round % 3]!.heartbeat(SCOPE, victim);
        const first = round % 2 === 0 ? beats() : undefined;
        const observe = stores.map((store) => store.evictWorker(SCOPE, { ...victim, counter: 0 }));
        const beat = first ?? beats();
        const answers = await Promise.all(observe);
        const evictions = answers.filter((answer) => answer === "evicted").length;
        const { outcome } = await beat;
        const context = `${answers.join(", ")}, heartbeat ${outcome}`;
        expect(evictions, context).toBe(outcome === "alive" ? 0 : 1);
        const { workers } = await stores[0]!.listWorkers(SCOPE);
        const stands = outcome === "alive" ? [{ ...victim, counter: 1 }] : [];
        expect(workers, context).toStrictEqual(stands);
        await stores[0]!.leaveWorker(SCOPE, victim);
      }
    },
  },
];
