import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { SCOPE, shard } from "../../store/fixtures.ts";
import { A, B, LINEAGE, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

export const watchScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "watch.hints",
    title: "a watcher hears of joins, leaves, releases and new shards, until its signal aborts",
    async run({ harness }) {
      const [store, other] = [await harness.open(), await harness.open()];
      // The alternative: without push, workers read the rows at each heartbeat.
      if (store.watch === undefined) return;
      const stop = new AbortController();
      const heard = hints();
      const watching = store.watch(SCOPE, heard.hint, stop.signal);
      try {
        // The watch may not be listening yet: workers join and leave until it reports one.
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
        await hears("a join", () => other.joinWorker(SCOPE, B));
        await hears("a leave", () => other.leaveWorker(SCOPE, B));
        await other.joinWorker(SCOPE, A);
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
      const before = heard.count;
      await other.joinWorker(SCOPE, B);
      await heard.within(100, before);
      expect(heard.since(before), "a join after its signal aborted").toBe(false);
    },
  },
  {
    key: "watch.ends",
    title:
      "a watch lasts until its signal aborts, and then resolves; one aborted before resolves too",
    async run({ harness }) {
      const store = await harness.open();
      if (store.watch === undefined) return;
      let over = false;
      const stop = new AbortController();
      const watching = store.watch(SCOPE, () => {}, stop.signal).then(() => (over = true));
      await store.joinWorker(SCOPE, A);
      await store.leaveWorker(SCOPE, A);
      await delay(100);
      expect(over, "over by itself").toBe(false);
      stop.abort();
      const aborted = store.watch(SCOPE, () => {}, AbortSignal.abort());
      await Promise.all([watching, aborted]);
    },
  },
];

interface Hints {
  readonly hint: () => void;
  readonly count: number;
  since(count: number): boolean;
  /** Resolves with the next hint after `count`, or after this many milliseconds. */
  within(ms: number, count?: number): Promise<void>;
  /**
   * Resolves when no hint has arrived for a while, so that hints of earlier changes have arrived.
   */
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
