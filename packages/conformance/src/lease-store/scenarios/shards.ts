import { ownerOf } from "@kc/core";
import { expect } from "vitest";
import { at, SCOPE, shard } from "../../store/fixtures.ts";
import { A, acquire, B, given, leases, LINEAGE } from "../fixtures.ts";
import type { LeaseStoreScenario } from "../harness.ts";

const NEVER_HELD = { owner: undefined, epoch: 0, checkpoint: undefined, lineage: LINEAGE };

export const shardScenarios: readonly LeaseStoreScenario[] = [
  {
    key: "shards.put",
    title: "rows of shards are made free and never held; a row that is there stays as it is",
    async run({ harness }) {
      const store = await harness.open();
      expect(await store.listLeases(SCOPE)).toStrictEqual({ revision: 0, leases: [] });
      await given(store, [A], [shard(0), shard(1)]);
      const stand = [
        { shardId: shard(0), ...NEVER_HELD },
        { shardId: shard(1), ...NEVER_HELD },
      ];
      expect(await leases(store)).toStrictEqual(stand);
      await acquire(store, A, shard(0));
      const lineage = "another";
      await store.putShards(
        SCOPE,
        [0, 1, 2].map((index) => ({ shardId: shard(index), lineage })),
      );
      const third = { shardId: shard(2), ...NEVER_HELD, lineage };
      const held = { ...stand[0]!, owner: ownerOf(A), epoch: 1 };
      expect(await leases(store), "put again").toStrictEqual([held, stand[1], third]);
      await store.releaseLeases(SCOPE, [
        { shardId: shard(0), fence: { epoch: 1, owner: ownerOf(A) } },
      ]);
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage }]);
      const free = { ...stand[0]!, epoch: 1 };
      expect(await leases(store), "put alone").toStrictEqual([free, stand[1], third]);
      expect(await store.getCheckpoints(SCOPE), "rows are no checkpoints").toStrictEqual(new Map());
      expect(await store.getCheckpoint(SCOPE, shard(0))).toBeUndefined();
    },
  },
  {
    key: "shards.replace",
    title: "a lineage is replaced only where the one that its caller saw still stands",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A], [shard(0), shard(1)]);
      await store.setCheckpoint(SCOPE, { shardId: shard(3), checkpoint: at(3) });
      const [own] = await acquire(store, A, shard(0));
      const { fence } = own!;
      await store.setCheckpoint(SCOPE, { shardId: shard(0), checkpoint: at(7, 1), fence });
      const lineage = `{"parents":["é'\\"$"],"n":1}`;
      await store.putShards(SCOPE, [
        { shardId: shard(0), lineage, replaces: LINEAGE },
        { shardId: shard(1), lineage, replaces: `${LINEAGE} ` },
        { shardId: shard(2), lineage, replaces: LINEAGE },
        { shardId: shard(3), lineage, replaces: LINEAGE },
        { shardId: shard(4), lineage },
      ]);
      const held = { owner: ownerOf(A), epoch: 1, checkpoint: at(7, 1), lineage };
      expect(await leases(store)).toStrictEqual([
        { shardId: shard(0), ...held },
        { shardId: shard(1), ...NEVER_HELD },
        { shardId: shard(4), ...NEVER_HELD, lineage },
      ]);
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage: "", replaces: lineage }]);
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage }]);
      expect((await leases(store))[0], "an empty one is one").toMatchObject({ lineage: "" });
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage, replaces: "" }]);
      expect((await leases(store))[0]).toStrictEqual({ shardId: shard(0), ...held });
    },
  },
  {
    key: "shards.checkpoint",
    title: "a lease is listed with its shard's checkpoint; a checkpoint alone is no lease",
    async run({ harness }) {
      const store = await harness.open();
      await store.setCheckpoint(SCOPE, { shardId: shard(0), checkpoint: at(3, 4) });
      await store.setCheckpoint(SCOPE, { shardId: shard(1), checkpoint: { kind: "shard-end" } });
      expect(await leases(store), "without rows").toStrictEqual([]);
      await given(store, [], [shard(0), shard(1)]);
      expect(await leases(store)).toStrictEqual([
        { shardId: shard(0), ...NEVER_HELD, checkpoint: at(3, 4) },
        { shardId: shard(1), ...NEVER_HELD, checkpoint: { kind: "shard-end" } },
      ]);
    },
  },
  {
    key: "shards.none",
    title: "calls about no shards do nothing and answer with nothing",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1)]);
      await acquire(store, A, shard(0));
      const before = await leases(store);
      await store.putShards(SCOPE, []);
      expect(await store.acquireLeases(SCOPE, B, [])).toStrictEqual([]);
      expect(await store.releaseLeases(SCOPE, [])).toStrictEqual([]);
      await store.removeShards(SCOPE, []);
      expect(await leases(store)).toStrictEqual(before);
    },
  },
  {
    key: "shards.lineage",
    title: "a lineage of 4,000 characters is kept as it is, and compared to its end",
    async run({ harness }) {
      const store = await harness.open();
      const long = `é🦊"'\\\n${"p".repeat(4000)}`;
      const others = [`${long} `, `${long}x`, long.replace("é", "e"), long.toUpperCase()];
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage: long }]);
      for (const replaces of others) {
        await store.putShards(SCOPE, [{ shardId: shard(0), lineage: "{}", replaces }]);
      }
      expect((await leases(store))[0]?.lineage, "its own").toBe(long);
      const next = `${long}y`;
      await store.putShards(SCOPE, [{ shardId: shard(0), lineage: next, replaces: long }]);
      expect((await leases(store))[0]?.lineage, "replaced").toBe(next);
    },
  },
  {
    key: "shards.remove",
    title: "free shards are removed with their checkpoints, dead owners' too; a held one stays",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0), shard(1), shard(2), shard(3)]);
      for (const index of [0, 3]) {
        await store.setCheckpoint(SCOPE, { shardId: shard(index), checkpoint: at(index) });
      }
      await acquire(store, A, shard(1));
      const [held] = await acquire(store, B, shard(2));
      await store.setCheckpoint(SCOPE, {
        shardId: shard(2),
        checkpoint: at(2),
        fence: held!.fence,
      });
      await store.leaveWorker(SCOPE, A);
      const gone = [shard(0), shard(1), shard(2), shard(9)];
      await store.removeShards(SCOPE, gone);
      await store.removeShards(SCOPE, gone);
      const left = (await leases(store)).map(({ shardId }) => shardId);
      expect(left).toStrictEqual([shard(2), shard(3)]);
      expect(await store.getCheckpoints(SCOPE)).toStrictEqual(
        new Map([2, 3].map((index) => [shard(index), at(index)])),
      );
      await given(store, [], [shard(0)]);
      expect((await leases(store))[0], "recreated").toStrictEqual({
        shardId: shard(0),
        ...NEVER_HELD,
      });
    },
  },
  {
    key: "shards.remove-checkpoint",
    title: "a checkpoint without a lease's row is removed too",
    async run({ harness }) {
      const store = await harness.open();
      for (const index of [0, 1]) {
        await store.setCheckpoint(SCOPE, { shardId: shard(index), checkpoint: at(index) });
      }
      await store.removeShards(SCOPE, [shard(0)]);
      expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map([[shard(1), at(1)]]));
    },
  },
  {
    key: "shards.remove-fence",
    title: "a shard that was removed and put again is free: no earlier fence writes it",
    async run({ harness }) {
      const store = await harness.open();
      await given(store, [A, B], [shard(0)]);
      const [old] = await acquire(store, A, shard(0));
      await store.evictWorker(SCOPE, { ...A, counter: 0 });
      await store.removeShards(SCOPE, [shard(0)]);
      const late = { shardId: shard(0), checkpoint: at(9), fence: old!.fence };
      const lost = [{ outcome: "lease-lost" }];
      expect(await store.setCheckpoints(SCOPE, [late]), "without a row").toStrictEqual(lost);
      await given(store, [], [shard(0)]);
      expect(await store.setCheckpoints(SCOPE, [late]), "put again").toStrictEqual(lost);
      expect(await store.releaseLeases(SCOPE, [old!]), "a late release").toStrictEqual([]);
      const [own] = await acquire(store, B, shard(0));
      expect(own?.checkpoint).toBeUndefined();
      expect(await store.setCheckpoints(SCOPE, [late]), "claimed").toStrictEqual(lost);
      const write = { ...late, fence: own!.fence };
      expect(await store.setCheckpoint(SCOPE, write)).toMatchObject({ outcome: "written" });
    },
  },
];
