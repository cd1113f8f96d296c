import { expect } from "vitest";
import { at, SCOPE, SHARD } from "../../store/fixtures.ts";
import { A, acquire, B, given, leases, LINEAGE, revision, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const leaseApplicationScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "revision.grows",
    title: "the revision grows with every worker that comes or goes and every change of a lease",
    async run({ harness }) {
      const store = await harness.open();
      let before = await revision(store);
      const grows = async (what: string, change: () => Promise<unknown>): Promise<void> => {
        await change();
        const after = await revision(store);
        expect(after, what).toBeGreaterThan(before);
        expect((await store.listLeases(SCOPE)).revision, `${what}, with the leases`).toBe(after);
        before = after;
      };
      await grows("a join", () => store.joinWorker(SCOPE, A));
      const row = { shardId: SHARD, lineage: LINEAGE };
      await grows("a shard", () => store.putShards(SCOPE, [row]));
      const other = { shardId: SHARD, lineage: "{}", replaces: LINEAGE };
      await grows("another lineage", () => store.putShards(SCOPE, [other]));
      await grows("a claim", () => acquire(store, A, SHARD));
      const fence = { epoch: 1, owner: `${A.workerId}#${A.incarnation}` };
      await grows("a release", () => store.releaseLeases(SCOPE, [{ shardId: SHARD, fence }]));
      await acquire(store, A, SHARD);
      before = await revision(store);
      const force = { force: true };
      await grows("a forced reset", () => store.resetCheckpoint(SCOPE, SHARD, at(1), force));
      await grows("a removal", () => store.removeShards(SCOPE, [SHARD]));
      await grows("an eviction", () => store.evictWorker(SCOPE, { ...A, counter: 0 }));
      await grows("another join", () => store.joinWorker(SCOPE, B));
      await grows("a leave", () => store.leaveWorker(SCOPE, B));
    },
  },
  {
    key: "lease-scope.apart",
    title: "applications and streams share neither workers nor leases nor the revision",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A], [SHARD]);
      await acquire(store, A, SHARD);
      for (const other of [
        { ...SCOPE, application: "shipping" },
        { ...SCOPE, streamName: "returns" },
      ]) {
        const what = JSON.stringify(other);
        expect(await store.listWorkers(other), what).toStrictEqual({ revision: 0, workers: [] });
        expect(await store.listLeases(other), what).toStrictEqual({ revision: 0, leases: [] });
        expect(await store.heartbeat(other, A), what).toStrictEqual({ outcome: "evicted" });
        expect(await store.joinWorker(other, worker(A.workerId, 2)), what).toMatchObject({
          outcome: "joined",
        });
        await store.leaveWorker(other, worker(A.workerId, 2));
        await store.removeShards(other, [SHARD]);
      }
      expect((await store.listWorkers(SCOPE)).workers.length).toBe(1);
      expect((await leases(store)).length).toBe(1);
    },
  },
];
