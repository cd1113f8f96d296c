import { ownerOf } from "@kc/core";
import { expect } from "vitest";
import { SCOPE, shard } from "../../store/fixtures.ts";
import { A, given, leases } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

/** Nothing is cut: neither numbers nor texts nor lists. */
export const extentScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "acquire.many",
    title: "1,000 shards are put, claimed, listed and given back, in one call each",
    async run({ harness }) {
      const store = await harness.open();
      const shardIds = Array.from({ length: 1000 }, (_, index) => shard(index));
      await given(store, [A], shardIds);
      const acquired = await store.acquireLeases(SCOPE, A, shardIds);
      expect(acquired.length, "claimed").toBe(1000);
      const held = (await leases(store)).filter(({ owner }) => owner === ownerOf(A));
      expect(held.length, "listed").toBe(1000);
      expect((await store.releaseLeases(SCOPE, acquired)).length, "given back").toBe(1000);
    },
  },
];
