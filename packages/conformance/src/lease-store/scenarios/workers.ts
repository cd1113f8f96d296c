import { expect } from "vitest";
import { SCOPE, SHARD } from "../../store/fixtures.ts";
import { A, acquire, B, given, leases, revision, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const workerScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "worker.join",
    title: "a worker that joins is listed with its weight and its limit, its counter at 0",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      expect(await store.listWorkers(SCOPE)).toStrictEqual({ revision: 0, workers: [] });
      const limited = worker("a worker: ÄÖ/1", 1, { weight: 2.5, maxShards: 7 });
      await given(store, [A, limited]);
      const { workers } = await other.listWorkers(SCOPE);
      const listed = workers.toSorted((a, b) => (a.workerId < b.workerId ? -1 : 1));
      expect(listed).toStrictEqual([
        { ...limited, counter: 0 },
        { ...A, counter: 0 },
      ]);
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
      expect(workers, "the counter goes on").toStrictEqual([{ ...A, counter: 1 }]);
    },
  },
  {
    key: "worker.duplicate",
    title: "a worker id that lives under another incarnation is refused, and stays as it is",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A]);
      const answer = await store.joinWorker(SCOPE, worker(A.workerId, 2));
      expect(answer).toStrictEqual({ outcome: "duplicate", incarnation: A.incarnation });
      const { workers } = await store.listWorkers(SCOPE);
      expect(workers).toStrictEqual([{ ...A, counter: 0 }]);
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
    title: "an incarnation without a row is told that it is evicted, whoever has its id now",
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
      await store.heartbeat(SCOPE, A);
      expect(await store.evictWorker(SCOPE, { ...A, counter: 1 })).toBe("evicted");
      expect(await store.heartbeat(SCOPE, A)).toStrictEqual({ outcome: "evicted" });
      expect((await store.listWorkers(SCOPE)).workers).toStrictEqual([{ ...B, counter: 0 }]);
      expect((await leases(store))[0]?.epoch, "eviction itself moves no epoch").toBe(1);
      const [claimed] = await acquire(store, B, SHARD);
      expect(claimed?.fence.epoch).toBe(held!.fence.epoch + 1);
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
