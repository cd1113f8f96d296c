import { KcError } from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { effectsOf, expectEffects, transact, writeOf } from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

function expectMisuse(error: unknown, what: string): KcError {
  if (!KcError.is(error)) expect.fail(`${what} must reject with a KcError, not ${String(error)}`);
  const { code, retryable } = error;
  expect({ code, retryable }, what).toStrictEqual({
    code: "TRANSACTION_MISUSED",
    retryable: false,
  });
  return error;
}

export const misuseScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "misuse.ended",
    title: "work that ends its transaction or its connection is told so, and has no checkpoint",
    async run({ harness }) {
      const store = await harness.open();
      for (const [index, [what, misuse]] of Object.entries(harness.misuses ?? {}).entries()) {
        const shardId = shard(index);
        const where = { ...SCOPE, shardId };
        const work = (tx: unknown): unknown => {
          const applied = harness.apply(tx, what, where);
          if (harness.worksSynchronously === true) return misuse(tx);
          return Promise.resolve(applied).then(() => misuse(tx));
        };
        const call = store.transact(SCOPE, writeOf(1, 3, { shardId }), work);
        const error = expectMisuse(await rejection(call, what), what);
        expect(error, what).toMatchObject({ shardId });
        // Its locks are released, whether or not its effects are stored.
        await harness.effects();
        expect(await store.getCheckpoint(SCOPE, shardId), what).toBeUndefined();
      }
      const answer = await transact(harness, store, writeOf(1, 3), { effects: effectsOf(1, 3) });
      expect(answer.outcome, "the next transaction").toBe("committed");
      const isMeant = (effect: string): boolean => effect.startsWith(`${SHARD}#`);
      await expectEffects(harness, effectsOf(1, 3), "its effects", isMeant);
    },
  },
  {
    key: "misuse.late",
    title: "what the work was given is of no use once the transaction is over",
    async run({ harness }) {
      const store = await harness.open();
      let kept: unknown;
      await store.transact(SCOPE, writeOf(1, 1), (tx) => void (kept = tx));
      const late = (async () => harness.apply(kept, "late", { ...SCOPE, shardId: SHARD }))();
      expectMisuse(await rejection(late, "an effect that comes late"), "an effect that comes late");
      await expectEffects(harness, [], "the effects");
    },
  },
];
