import type { LeaseStore, TransactionalStore } from "@kc/core";
import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { A } from "../../lease-store/fixtures.ts";
import { at, SCOPE, shard } from "../../store/fixtures.ts";
import { expectEffects, writeOf } from "../fixtures.ts";
import type { TransactionalStoreScenario } from "../harness.ts";

const committed = { outcome: "committed", value: undefined };

/**
 * Work that runs until it is released, and a promise that resolves when `count` of them run
 * concurrently.
 */
function holding(count: number) {
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let reached = (): void => {};
  const isReached = new Promise<void>((resolve) => (reached = resolve));
  const state = { running: 0 };
  const work = (): Promise<void> => {
    state.running += 1;
    if (state.running === count) reached();
    return held;
  };
  return { work, state, isReached, letGo };
}

/** The calls that a consumer makes while handlers run. */
async function callsOf(store: TransactionalStore): Promise<void> {
  await store.setCheckpoint(SCOPE, { shardId: shard(9), checkpoint: at(1) });
  if (!hasLeases(store)) return;
  await store.joinWorker(SCOPE, A);
  await store.heartbeat(SCOPE, A);
}

function hasLeases(store: TransactionalStore): store is TransactionalStore & LeaseStore {
  return store.capabilities.leases;
}

export const turnScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "turns.connections-left",
    title:
      "transactions of the stores on one pool leave two of its connections for heartbeats and checkpoints",
    async run({ harness }) {
      const stores = await harness.openOnPool?.(4, 2);
      if (stores === undefined) return;
      const { work, state, isReached, letGo } = holding(2);
      const shards = [0, 1, 2, 3, 4, 5].map(shard);
      const all = Promise.allSettled(
        shards.map((shardId, n) =>
          stores[n % 2]!.transact(SCOPE, writeOf(1, 3, { shardId }), async (tx) => {
            await work();
            await harness.apply(tx, shardId, { ...SCOPE, shardId });
          }),
        ),
      );
      await isReached;
      const calls = await Promise.allSettled(stores.map(callsOf));
      expect(calls, "calls of the stores meanwhile").toStrictEqual(
        calls.map(() => expect.objectContaining({ status: "fulfilled" })),
      );
      expect(state.running, "transactions at once").toBe(2);
      letGo();
      const done = { status: "fulfilled", value: committed };
      expect(await all).toStrictEqual(shards.map(() => done));
      await expectEffects(harness, shards, "the effects");
    },
  },
  {
    key: "turns.abandoned",
    title:
      "a transaction that waits for its turn ends by its signal, and the next one gets the turn",
    async run({ harness }) {
      const stores = await harness.openOnPool?.(3, 1);
      if (stores === undefined) return;
      const [store] = stores;
      const { work, isReached, letGo } = holding(1);
      const first = store!.transact(SCOPE, writeOf(1, 3, { shardId: shard(1) }), work);
      await isReached;
      const caller = new AbortController();
      const write = writeOf(1, 3, { shardId: shard(2) });
      const second = store!.transact(SCOPE, write, () => undefined, { signal: caller.signal });
      const third = store!.transact(SCOPE, writeOf(1, 3, { shardId: shard(3) }), () => undefined);
      const reason = new Error("the caller's own reason");
      caller.abort(reason);
      expect(await rejection(second, "a transaction that waits"), "the reason").toBe(reason);
      letGo();
      expect([await first, await third]).toStrictEqual([committed, committed]);
    },
  },
  {
    key: "turns.too-few",
    title: "a pool that has no connection for transactions is refused, before any work",
    async run({ harness }) {
      const stores = await harness.openOnPool?.(2, 1);
      if (stores === undefined) return;
      let calls = 0;
      const call = stores[0]!.transact(SCOPE, writeOf(1, 3), () => void (calls += 1));
      const error = await rejection(call, "a transaction on a pool of two connections");
      const message: unknown = expect.stringContaining("3");
      expect(error).toMatchObject({ code: "CONFIG_INVALID", option: "pool", message });
      expect(calls, "calls of the work").toBe(0);
    },
  },
];
