import type { LeaseStore, WorkerRow } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { A, acquire, B, given, leases, revision, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

function byId(workers: readonly WorkerRow[]): WorkerRow[] {
  return workers.toSorted((a, b) => (a.workerId < b.workerId ? -1 : 1));
}

async function listed(store: LeaseStore): Promise<WorkerRow[]> {
  return byId((await store.listWorkers(SCOPE)).workers);
}

export const workerScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "worker.join",
    title: "a worker that joins is listed with its weight and its limit, its counter at 0",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      expect(await store.listWorkers(SCOPE)).toStrictEqual({ revision: 0, workers: [] });
      // A third has no finite binary representation, and is not exact as a four-byte float.
      const limited = worker("a worker: ÄÖ/1", 1, { weight: 1 / 3, maxShards: 7 });
      await given(store, [A, limited]);
      expect(await listed(other)).toStrictEqual([
        { ...limited, counter: 0 },
        { ...A, counter: 0 },
      ]);
      await store.heartbeat(SCOPE, limited);
      expect((await listed(other))[0], "after a heartbeat").toStrictEqual({
        ...limited,
        counter: 1,
      });
    },
  },
  {
    key: "worker.join-again",
    title: "the same incarnation joins twice as if once: the first reply may have been lost",
    async run({ harness }) {
      const store = await harness.open();
      const first = await store.joinWorker(SCOPE, A);
      await store.heartbeat(SCOPE, A);
      expect(await store.joinWorker(SCOPE, A)).toStrictEqual(first);
      const { workers } = await store.listWorkers(SCOPE);
      expect(workers, "the counter grows").toStrictEqual([{ ...A, counter: 1 }]);
    },
  },
  {
    key: "worker.names",
    title:
      "ids that differ in case, or begin alike, are different workers, and so are incarnations",
    async run({ harness }) {
      const store = await harness.open();
      const ids = ["orders-1", "Orders-1", "orders-10", "orders-", "résumé", "resume", "🦊"];
      const all = ids.map((id, n) => worker(id, n + 1));
      await given(
        store,
        all,
        ids.map((_, n) => shard(n)),
      );
      expect(await listed(store)).toStrictEqual(byId(all.map((each) => ({ ...each, counter: 0 }))));
      for (const [n, each] of all.entries()) {
        expect((await acquire(store, each, shard(n))).length, each.workerId).toBe(1);
      }
      const [first] = all;
      for (const incarnation of ["i", "i10", "I1"]) {
        const other = { workerId: first!.workerId, incarnation };
        const what = `the incarnation ${incarnation} of one that is i1`;
        expect(await store.heartbeat(SCOPE, other), what).toStrictEqual({ outcome: "evicted" });
        expect(await store.evictWorker(SCOPE, { ...other, counter: 0 }), what).toBe("gone");
        await store.leaveWorker(SCOPE, other);
        expect(await store.acquireLeases(SCOPE, other, [shard(0)]), what).toStrictEqual([]);
      }
      await store.leaveWorker(SCOPE, first!);
      expect((await listed(store)).length, "the others stay").toBe(ids.length - 1);
      const taken = await acquire(store, all[1]!, ...ids.map((_, n) => shard(n)));
      expect(taken.map(({ shardId }) => shardId)).toStrictEqual([shard(0), shard(1)]);
    },
  },
  {
    key: "worker.seen",
    title: "a list shows what another process changed, whatever this one has listed before",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      const looks = async (what: string): Promise<void> => {
        const fresh = await harness.open();
        expect(await listed(store), what).toStrictEqual(await listed(fresh));
        expect(await leases(store), what).toStrictEqual(await leases(fresh));
      };
      await looks("nothing");
      await given(other, [A, B], [shard(0), shard(1)]);
      await looks("joins and shards");
      await other.heartbeat(SCOPE, A);
      await looks("a heartbeat");
      const held = await acquire(other, A, shard(0), shard(1));
      await looks("a claim");
      const { fence } = held[0]!;
      await other.setCheckpoint(SCOPE, { shardId: shard(0), checkpoint: at(1), fence });
      await looks("a checkpoint");
      await other.releaseLeases(SCOPE, held);
      await looks("a release");
      await other.removeShards(SCOPE, [shard(1)]);
      await other.leaveWorker(SCOPE, A);
      await looks("a leave and a removal");
      expect((await listed(store)).map(({ workerId }) => workerId)).toStrictEqual([B.workerId]);
      expect((await leases(store)).map(({ shardId }) => shardId)).toStrictEqual([shard(0)]);
    },
  },
  {
    key: "worker.duplicate",
    title: "a worker id that lives under another incarnation is refused, and stays as it is",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B]);
      for (const each of [A, B]) await store.heartbeat(SCOPE, each);
      const answer = await store.joinWorker(SCOPE, worker(A.workerId, 2));
      expect(answer).toStrictEqual({ outcome: "duplicate", incarnation: A.incarnation });
      expect(await listed(store)).toStrictEqual([
        { ...A, counter: 1 },
        { ...B, counter: 1 },
      ]);
    },
  },
  {
    key: "worker.heartbeat",
    title: "a heartbeat adds one to its own worker's counter alone, and leaves the revision",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B]);
      const before = await revision(store);
      for (const counter of [1, 2, 3]) {
        const answer = await store.heartbeat(SCOPE, A);
        expect(answer).toStrictEqual({ outcome: "alive", counter, revision: before });
      }
      const { workers } = await store.listWorkers(SCOPE);
      const counters = new Map(workers.map(({ workerId, counter }) => [workerId, counter]));
      expect(counters.get(A.workerId), "its own").toBe(3);
      expect(counters.get(B.workerId), "another's").toBe(0);
    },
  },
  {
    key: "worker.unknown",
    title: "an incarnation without a row learns that it is evicted, whichever one has its id now",
    async run({ harness }) {
      const store = await harness.open();
      expect(await store.heartbeat(SCOPE, A)).toStrictEqual({ outcome: "evicted" });
      await given(store, [worker(A.workerId, 2)]);
      expect(await store.heartbeat(SCOPE, A)).toStrictEqual({ outcome: "evicted" });
      expect((await store.listWorkers(SCOPE)).workers[0]?.counter, "the other's").toBe(0);
    },
  },
  {
    key: "worker.leave",
    title: "a worker that leaves is gone, its leases are free; another incarnation stays",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [SHARD]);
      await acquire(store, A, SHARD);
      await store.leaveWorker(SCOPE, worker(A.workerId, 2));
      expect((await store.listWorkers(SCOPE)).workers.length, "another incarnation left").toBe(2);
      await store.leaveWorker(SCOPE, A);
      await store.leaveWorker(SCOPE, A);
      expect((await store.listWorkers(SCOPE)).workers).toStrictEqual([{ ...B, counter: 0 }]);
      expect(await store.heartbeat(SCOPE, A)).toStrictEqual({ outcome: "evicted" });
      expect((await acquire(store, B, SHARD)).length, "claims of what it held").toBe(1);
    },
  },
  {
    key: "evict.still",
    title: "a worker whose counter stood still is evicted: it is dead, and its leases are free",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [SHARD]);
      const [held] = await acquire(store, A, SHARD);
      const write = { shardId: SHARD, checkpoint: at(4, 2), fence: held!.fence };
      await store.setCheckpoint(SCOPE, write);
      await store.heartbeat(SCOPE, A);
      expect(await store.evictWorker(SCOPE, { ...A, counter: 1 })).toBe("evicted");
      expect(await store.heartbeat(SCOPE, A)).toStrictEqual({ outcome: "evicted" });
      expect((await store.listWorkers(SCOPE)).workers).toStrictEqual([{ ...B, counter: 0 }]);
      expect(await store.evictWorker(SCOPE, { ...A, counter: 1 }), "a second time").toBe("gone");
      expect((await leases(store))[0], "eviction itself writes no lease").toMatchObject(
        held!.fence,
      );
      const [claimed] = await acquire(store, B, SHARD);
      expect(claimed?.fence.epoch).toBe(held!.fence.epoch + 1);
      expect(claimed?.checkpoint, "nor a checkpoint").toStrictEqual(at(4, 2));
    },
  },
  {
    key: "evict.moved",
    title: "a worker that has beaten meanwhile stays",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A], [SHARD]);
      await acquire(store, A, SHARD);
      await store.heartbeat(SCOPE, A);
      for (const counter of [0, 2]) {
        expect(await store.evictWorker(SCOPE, { ...A, counter })).toBe("moved");
      }
      const answer = await store.heartbeat(SCOPE, A);
      expect(answer).toMatchObject({ outcome: "alive", counter: 2 });
    },
  },
  {
    key: "evict.gone",
    title: "what has no row cannot be evicted, nor can another incarnation in its place",
    async run({ harness }) {
      const store = await harness.open();
      expect(await store.evictWorker(SCOPE, { ...A, counter: 0 })).toBe("gone");
      await given(store, [worker(A.workerId, 2)]);
      expect(await store.evictWorker(SCOPE, { ...A, counter: 0 })).toBe("gone");
      expect((await store.listWorkers(SCOPE)).workers.length).toBe(1);
    },
  },
];
