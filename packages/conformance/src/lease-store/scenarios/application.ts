import { ownerOf } from "@kc/core";
import { setImmediate as othersTurn } from "node:timers/promises";
import { expect } from "vitest";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
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
      await given(store, [A], [SHARD, shard(1)]);
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
        await store.joinWorker(other, A);
        expect(await store.acquireLeases(other, A, [SHARD, shard(1)]), what).toStrictEqual([]);
        expect(await store.evictWorker(other, { ...A, counter: 0 }), what).toBe("evicted");
        await store.removeShards(other, [SHARD, shard(1)]);
      }
      expect((await store.listWorkers(SCOPE)).workers.length).toBe(1);
      expect((await leases(store)).map(({ owner }) => owner)).toStrictEqual([
        ownerOf(A),
        undefined,
      ]);
    },
  },
  {
    key: "revision.lists",
    title: "a listing beside changes has no revision without the changes that it stands for",
    async run({ harness }) {
      const [store, looker] = [await harness.open(), await harness.open()];
      /** For each change, the revision after it, and what it created. */
      const changes: { readonly revision: number; readonly made: string }[] = [];
      const looks: { readonly revision: number; readonly seen: ReadonlySet<string> }[] = [];
      let over = false;
      const look = async (): Promise<void> => {
        for (; !over; await othersTurn()) {
          const [{ revision: workersAt, workers }, { revision: leasesAt, leases: rows }] =
            await Promise.all([looker.listWorkers(SCOPE), looker.listLeases(SCOPE)]);
          const ids = workers.map(({ workerId }) => workerId);
          looks.push({ revision: workersAt, seen: new Set(ids) });
          const shardIds = rows.map(({ shardId }) => shardId);
          const owned = rows.filter(({ owner }) => owner).map(({ shardId }) => `held ${shardId}`);
          looks.push({ revision: leasesAt, seen: new Set([...shardIds, ...owned]) });
        }
      };
      const change = async (): Promise<void> => {
        await store.joinWorker(SCOPE, A);
        for (let n = 0; n < 8; n += 1) {
          await store.putShards(SCOPE, [{ shardId: shard(n), lineage: LINEAGE }]);
          changes.push({ revision: await revision(store), made: shard(n) });
          await store.acquireLeases(SCOPE, A, [shard(n)]);
          changes.push({ revision: await revision(store), made: `held ${shard(n)}` });
          await store.joinWorker(SCOPE, worker(`worker-${n}`));
          changes.push({ revision: await revision(store), made: `worker-${n}` });
        }
        over = true;
      };
      await Promise.all([change().finally(() => (over = true)), look(), look()]);
      for (const { revision: named, seen } of looks) {
        const isOfWorkers = [...seen].some((made) => made.startsWith("worker"));
        for (const { revision: stood, made } of changes) {
          if (named < stood || made.startsWith("worker") !== isOfWorkers) continue;
          expect(seen, `${made} of revision ${stood}, in a list of ${named}`).toContain(made);
        }
      }
    },
  },
  {
    key: "revision.heartbeats",
    title: "a heartbeat names no revision older than one that this process has read before",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      await given(store, [A]);
      for (let n = 0; n < 20; n += 1) {
        await other.putShards(SCOPE, [{ shardId: shard(n), lineage: LINEAGE }]);
        const change = other.joinWorker(SCOPE, worker("other", n));
        const read = await (n % 2 === 0 ? store.listWorkers(SCOPE) : store.listLeases(SCOPE));
        const answer = await store.heartbeat(SCOPE, A);
        const named = answer.outcome === "alive" ? answer.revision : -1;
        expect(named, `after ${read.revision} was read`).toBeGreaterThanOrEqual(read.revision);
        await change;
        await other.leaveWorker(SCOPE, worker("other", n));
      }
    },
  },
];
