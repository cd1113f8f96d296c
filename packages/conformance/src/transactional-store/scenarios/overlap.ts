import { compareCheckpoints, type TransactionalStore } from "@kc/core";
import { expect } from "vitest";
import { onceRecovered } from "../../expectations.ts";
import { at, SCOPE, SHARD } from "../../store/fixtures.ts";
import { effectsOf, expectEffects, seededRandom, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "../harness.ts";

const RECORDS = 40;
const MAX_IN_A_BATCH = 7;
const NUMBERS = Array.from({ length: RECORDS }, (_, index) => index + 1);

/** Handles all records in its own batches, as a consumer does. */
async function consume(
  harness: TransactionalStoreHarness,
  store: TransactionalStore,
  random: () => number,
  beforeEach: () => Promise<unknown> = async () => {},
): Promise<void> {
  let next = 1;
  while (next <= RECORDS) {
    const to = Math.min(RECORDS, next + Math.floor(random() * MAX_IN_A_BATCH));
    const batch = { effects: effectsOf(next, to) };
    const write = writeOf(next, to);
    await beforeEach();
    const answer = await onceRecovered(() => transact(harness, store, write, batch));
    if (answer.outcome === "lease-lost") return expect.fail("nobody holds the shard");
    const stored = answer.outcome === "committed" ? at(to) : answer.stored;
    const done = NUMBERS.filter((n) => compareCheckpoints(at(n), stored) <= 0).length;
    expect(done, `the batch from ${next} to ${to} leads on`).toBeGreaterThanOrEqual(next);
    next = done + 1;
  }
}

export const overlapScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "overlap.two-readers",
    title: "two processes that read one shard in batches of their own store each effect once",
    async run({ harness }) {
      const stores = [await harness.open(), await harness.open()];
      await Promise.all(
        stores.map((store, index) => consume(harness, store, seededRandom(index + 1))),
      );
      await expectEffects(harness, effectsOf(1, RECORDS), "the effects");
      expect(await stores[0]!.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(RECORDS));
    },
  },
  {
    key: "overlap.behind-one-another",
    title: "a batch that waited for another one with its first record stores nothing",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      const batches = [
        { store: one, write: writeOf(1, 8), effects: effectsOf(1, 8) },
        { store: other, write: writeOf(5, 12), effects: effectsOf(5, 12) },
      ].map(({ store, write, effects }) =>
        onceRecovered(() => transact(harness, store, write, { effects })),
      );
      const answers = await Promise.all(batches);
      const [first, second] = answers.map(({ outcome }) => outcome);
      // The second to commit begins within the records that the first has stored.
      expect([first, second].toSorted()).toStrictEqual(["already-done", "committed"]);
      const stored = first === "committed" ? effectsOf(1, 8) : effectsOf(5, 12);
      await expectEffects(harness, stored, "the effects of one batch");
    },
  },
  {
    key: "overlap.cuts",
    title:
      "commits that break off at random, alone and beside another process, store each effect once",
    async run({ make }) {
      for (const readers of [1, 2]) {
        const harness = await make();
        if (harness.cutAtCommit === undefined) {
          expect.fail("give the harness cutAtCommit(), or list this gap");
        }
        const random = seededRandom(7);
        const cut = async (): Promise<void> => {
          if (random() < 0.3) await harness.cutAtCommit!(random() < 0.5 ? "before" : "after");
        };
        const runs: Promise<void>[] = [];
        for (let reader = 0; reader < readers; reader += 1) {
          const store = await harness.open();
          runs.push(
            consume(harness, store, seededRandom(8 + reader), reader === 0 ? cut : undefined),
          );
        }
        await Promise.all(runs);
        await expectEffects(harness, effectsOf(1, RECORDS), `the effects of ${readers}`);
      }
    },
  },
];
