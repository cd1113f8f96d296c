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
      const put = (lineage: string) => store.putShards(SCOPE, [{ shardId: SHARD, lineage }]);
      await grows("a join", () => store.joinWorker(SCOPE, A));
      await grows("a shard", () => put(LINEAGE));
      await grows("another lineage", () => put("{}"));
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
  {
    key: "watch.hints",
    title: "a watcher hears of joins, leaves, releases and new shards, until its signal aborts",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      // The other answer: a store without push is asked for its rows, at each heartbeat.
      if (store.watch === undefined) return;
      const stop = new AbortController();
      const heard = hints();
      const watching = store.watch(SCOPE, heard.hint, stop.signal);
      try {
        // The watch may still be on its way: whoever comes and goes until it is heard.
        for (let n = 1; !heard.since(0); n += 1) {
          await other.joinWorker(SCOPE, worker("knocking", n));
          await other.leaveWorker(SCOPE, worker("knocking", n));
          await heard.within(50);
        }
        const hears = async (what: string, change: () => Promise<unknown>): Promise<void> => {
          await heard.quiet();
          const before = heard.count;
          await change();
          await heard.within(10_000, before);
          expect(heard.since(before), what).toBe(true);
        };
        await hears("a join", () => other.joinWorker(SCOPE, A));
        await hears("a new shard", () =>
          other.putShards(SCOPE, [{ shardId: shard(1), lineage: LINEAGE }]),
        );
        const held = await other.acquireLeases(SCOPE, A, [shard(1)]);
        await hears("a release", () => other.releaseLeases(SCOPE, held));
        await hears("an eviction", () => other.evictWorker(SCOPE, { ...A, counter: 0 }));
      } finally {
        stop.abort();
        await watching;
      }
    },
  },
];

interface Hints {
  readonly hint: () => void;
  readonly count: number;
  since(count: number): boolean;
  /** Resolves with the next hint after `count`, or when so many milliseconds are over. */
  within(ms: number, count?: number): Promise<void>;
  /** Resolves when no hint has come for a while: those of earlier changes are in. */
  quiet(): Promise<void>;
}

function hints(): Hints {
  let count = 0;
  let wake = (): void => {};
  const within = (ms: number, from = count): Promise<void> => {
    if (count > from) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  };
  return {
    hint: () => {
      count += 1;
      wake();
    },
    get count() {
      return count;
    },
    since: (before) => count > before,
    within,
    async quiet() {
      for (let before = -1; before !== count;) {
        before = count;
        await within(100);
      }
    },
  };
}
