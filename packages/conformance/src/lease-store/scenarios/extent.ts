import { ownerOf, type LeaseStore } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard, SHARD } from "../../store/fixtures.ts";
import { A, B, given, leases, worker } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

/** More than a page or a chunk of a call is likely to hold. */
const MANY = 1200;

async function expectMany(store: LeaseStore): Promise<void> {
  const shardIds = Array.from({ length: MANY }, (_, index) => shard(index));
  const rows = shardIds.map((shardId) => ({ shardId, lineage: shardId.padEnd(1000, ".") }));
  await given(store, [A]);
  await store.putShards(SCOPE, rows);
  const acquired = await store.acquireLeases(SCOPE, A, shardIds);
  expect(acquired.length, "claimed").toBe(MANY);
  const writes = acquired.map((lease) => ({ ...lease, checkpoint: at(1) }));
  const answers = await store.setCheckpoints(SCOPE, writes);
  const written = answers.filter(({ outcome }) => outcome === "written");
  expect(written.length, "written").toBe(MANY);
  const listed = await leases(store);
  const lineages = listed.map(({ shardId, lineage }) => ({ shardId, lineage }));
  expect(lineages, "listed").toStrictEqual(rows);
  const held = listed.filter(({ owner, checkpoint }) => owner && checkpoint);
  expect(held.length, "held, with a checkpoint").toBe(MANY);
  expect((await store.releaseLeases(SCOPE, acquired)).length, "given back").toBe(MANY);
  await store.removeShards(SCOPE, shardIds);
  expect((await leases(store)).length, "after their removal").toBe(0);
}

/** Nothing is truncated: neither numbers nor texts nor lists. */
export const extentScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "acquire.many",
    title:
      "1,200 shards are put, claimed, written, listed, given back and removed, in one call each",
    run: async ({ harness }) => expectMany(await harness.open()),
  },
  {
    key: "worker.many",
    title: "120 workers are listed, each with its own counter",
    async run({ harness }) {
      const store = await harness.open();
      const workers = Array.from({ length: 120 }, (_, n) => worker(`worker-${n}`, n));
      await Promise.all(workers.map((each) => store.joinWorker(SCOPE, each)));
      await Promise.all(
        workers.filter((_, n) => n % 2 === 0).map((each) => store.heartbeat(SCOPE, each)),
      );
      const { workers: listed } = await store.listWorkers(SCOPE);
      expect(new Map(listed.map((row) => [row.workerId, row]))).toStrictEqual(
        new Map(workers.map((each, n) => [each.workerId, { ...each, counter: 1 - (n % 2) }])),
      );
    },
  },
  {
    key: "worker.long-life",
    title: "a worker beats 300 times: its counter keeps growing, and eviction compares all of it",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A]);
      for (let counter = 1; counter <= 300; counter += 1) {
        expect(await store.heartbeat(SCOPE, A)).toMatchObject({ outcome: "alive", counter });
      }
      for (const counter of [30, 44, 299]) {
        expect(await store.evictWorker(SCOPE, { ...A, counter })).toBe("moved");
      }
      expect(await store.evictWorker(SCOPE, { ...A, counter: 300 })).toBe("evicted");
    },
  },
  {
    key: "acquire.high-epochs",
    title: "epochs grow beyond the integer sizes that are too small for them",
    async run({ harness }) {
      const store = await harness.open();
      if (harness.grantLease === undefined) {
        expect.fail(
          "a store with leases needs the harness's grantLease(): give it, or list this gap",
        );
      }
      await given(store, [B], [SHARD]);
      for (const epoch of [9, 127, 255, 32_767, 65_535, 2_147_483_647, 4_294_967_295]) {
        await harness.grantLease(SCOPE, SHARD, { epoch, owner: ownerOf(A) });
        const [claimed] = await store.acquireLeases(SCOPE, B, [SHARD]);
        const fence = { epoch: epoch + 1, owner: ownerOf(B) };
        expect(claimed?.fence, `after ${epoch}`).toStrictEqual(fence);
        expect((await leases(store))[0]).toMatchObject(fence);
        const write = { shardId: SHARD, checkpoint: at(1), fence };
        expect(await store.setCheckpoint(SCOPE, write)).toMatchObject({ stored: at(1) });
        expect(await store.releaseLeases(SCOPE, [{ shardId: SHARD, fence }])).toStrictEqual([
          SHARD,
        ]);
      }
    },
  },
];
