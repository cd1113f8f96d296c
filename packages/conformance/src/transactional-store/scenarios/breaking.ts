import { expect } from "vitest";
import { expectStoreError, onceRecovered, rejection } from "../../expectations.ts";
import { at, SCOPE, SHARD } from "../../store/fixtures.ts";
import { effectsOf, expectEffects, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "../harness.ts";

const BATCH = { effects: effectsOf(1, 3) };
const WRITE = writeOf(1, 3);

async function breakConnection(harness: TransactionalStoreHarness): Promise<void> {
  if (harness.breakConnection === undefined || harness.restore === undefined) {
    expect.fail("give the harness breakConnection() and restore(), or list this gap");
  }
  await harness.breakConnection();
}

/** Fails unless the batch is stored exactly once after it is tried again. */
async function expectOnceAfterAll(harness: TransactionalStoreHarness): Promise<void> {
  const store = await harness.open();
  const { outcome } = await onceRecovered(() => transact(harness, store, WRITE, BATCH));
  expect(outcome, "the batch again").not.toBe("lease-lost");
  await expectEffects(harness, BATCH.effects, "the effects, in the end");
  expect(await store.getCheckpoint(SCOPE, SHARD), "the checkpoint").toStrictEqual(at(3));
}

const cuts: readonly TransactionalStoreScenario[] = (["before", "after"] as const).map((when) => ({
  key: `commit.cut-${when}`,
  title:
    when === "before"
      ? "a commit that did not reach the database is not taken for one that did"
      : "a commit whose answer was lost is not taken for one that failed",
  async run({ harness }) {
    const store = await harness.open();
    if (harness.cutAtCommit === undefined) {
      expect.fail("give the harness cutAtCommit(), or list this gap");
    }
    await harness.cutAtCommit(when);
    const first = await transact(harness, store, WRITE, BATCH).then(
      ({ outcome }) => outcome,
      (error: unknown) => {
        expectStoreError(error, { retryable: true }, "a commit that breaks off");
        return "unknown";
      },
    );
    // A client may detect the result itself, but must not guess.
    const stored = await harness.effects();
    const isStored = stored.length > 0;
    if (first !== "unknown") expect(isStored, `answered ${first}`).toBe(first !== "lease-lost");
    const again = await onceRecovered(() => transact(harness, store, WRITE, BATCH));
    expect(again.outcome, "on the same handle").toBe(isStored ? "already-done" : "committed");
    await expectOnceAfterAll(harness);
  },
}));

export const breakingScenarios: readonly TransactionalStoreScenario[] = [
  ...cuts,
  {
    key: "transact-outage.transact",
    title: "transact during an outage rejects with a retryable StoreError, and works after it",
    async run({ harness }) {
      const store = await harness.open();
      await transact(harness, store, writeOf(0, 0), { effects: [] });
      await breakConnection(harness);
      try {
        const error = await rejection(transact(harness, store, WRITE, BATCH), "in an outage");
        expectStoreError(error, { retryable: true }, "transact in an outage");
      } finally {
        await harness.restore!();
      }
      const answer = await onceRecovered(() => transact(harness, store, WRITE, BATCH));
      expect(answer.outcome).toBe("committed");
      await expectEffects(harness, BATCH.effects, "the effects");
    },
  },
  {
    key: "transact-outage.in-work",
    title: "a connection that breaks under the work leaves nothing stored",
    async run({ harness }) {
      const store = await harness.open();
      const answer = transact(harness, store, WRITE, {
        ...BATCH,
        meanwhile: () => breakConnection(harness),
      });
      const error = await rejection(answer, "a transaction whose connection breaks");
      expectStoreError(error, { retryable: true }, "a transaction whose connection breaks");
      await harness.restore!();
      await expectEffects(harness, [], "the effects");
      await expectOnceAfterAll(harness);
    },
  },
  {
    key: "transact-abort.before",
    title: "transact with an aborted signal rejects with its reason and stores nothing",
    async run({ harness }) {
      const store = await harness.open();
      const reason = new Error("the caller's own reason");
      const signal = AbortSignal.abort(reason);
      const error = await rejection(
        transact(harness, store, WRITE, { ...BATCH, signal }),
        "transact with an aborted signal",
      );
      expect(error, "it must reject with signal.reason itself").toBe(reason);
      await expectEffects(harness, [], "the effects");
      await expectOnceAfterAll(harness);
    },
  },
  {
    key: "transact-abort.in-work",
    title:
      "a signal that aborts in the midst of the work ends the call at once, and stores nothing",
    async run({ harness }) {
      const store = await harness.open();
      // Often enough to exhaust any pool if connections are not returned.
      for (let round = 0; round < 12; round += 1) {
        const caller = new AbortController();
        const reason = new Error("the caller's own reason");
        const call = store.transact(
          SCOPE,
          WRITE,
          (tx) => {
            const applied = harness.apply(tx, "aborted", { ...SCOPE, shardId: SHARD });
            caller.abort(reason);
            if (harness.worksSynchronously === true) return undefined;
            // The work does not end by itself.
            return Promise.resolve(applied)
              .catch(() => undefined)
              .then(() => new Promise<void>(() => {}));
          },
          { signal: caller.signal },
        );
        expect(await rejection(call, "an aborted transaction"), "the reason").toBe(reason);
      }
      await expectEffects(harness, [], "the effects");
      await expectOnceAfterAll(harness);
    },
  },
  {
    key: "transact-closed.transact",
    title: "transact on a store that is being disposed of, or was, rejects with STORE_CLOSED",
    async run({ harness }) {
      const closed = { code: "STORE_CLOSED", retryable: false } as const;
      const store = await harness.open();
      await transact(harness, store, writeOf(0, 0), { effects: [] });
      const disposed = store[Symbol.asyncDispose]();
      const closing = await rejection(transact(harness, store, WRITE, BATCH), "while disposing");
      expectStoreError(closing, closed, "transact while disposing");
      await disposed;
      const after = await rejection(transact(harness, store, WRITE, BATCH), "after dispose");
      expectStoreError(after, closed, "transact after dispose");
      await expectEffects(harness, [], "the effects");
    },
  },
];
