import { SHARD_END } from "@kc/core";
import { expect } from "vitest";
import { expectStoreError, rejection } from "../../expectations.ts";
import { applicationRow, at, SCOPE, shard, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";
import { OPERATION_NAMES, OPERATIONS } from "../operations.ts";

const CLOSED = { code: "STORE_CLOSED", retryable: false } as const;

const closedTrait: readonly StoreScenario[] = OPERATION_NAMES.map((name) => ({
  key: `closed.${name}`,
  title: `${name} on a store that is being disposed of, or was, rejects with STORE_CLOSED`,
  async run({ harness }) {
    const [used, unused] = [await harness.open(), await harness.open()];
    await OPERATIONS[name](used);
    for (const store of [used, unused]) {
      const disposed = store[Symbol.asyncDispose]();
      const closing = await rejection(OPERATIONS[name](store), `${name} while disposing`);
      expectStoreError(closing, CLOSED, `${name} while disposing`);
      await disposed;
      const closed = await rejection(OPERATIONS[name](store), `${name} after dispose`);
      expectStoreError(closed, CLOSED, `${name} after dispose`);
    }
  },
}));

export const lifecycleScenarios: readonly StoreScenario[] = [
  ...closedTrait,
  {
    key: "dispose.twice",
    title: "disposing again, or twice at once, does nothing",
    async run({ harness }) {
      const store = await harness.open();
      await store.getCheckpoint(SCOPE, SHARD);
      const both = Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
      await expect(both, "twice at once").resolves.toBeDefined();
      await expect(store[Symbol.asyncDispose](), "once more").resolves.toBeUndefined();
    },
  },
  {
    key: "dispose.close",
    title: "close() closes the store as disposing of it does, and both may follow each other",
    async run({ harness }) {
      const store = await harness.open();
      await store.getCheckpoint(SCOPE, SHARD);
      await expect(store.close(), "close").resolves.toBeUndefined();
      const closed = await rejection(store.getCheckpoint(SCOPE, SHARD), "a call after close");
      expectStoreError(closed, CLOSED, "a call after close");
      await expect(store[Symbol.asyncDispose](), "dispose after close").resolves.toBeUndefined();
      await expect(store.close(), "close again").resolves.toBeUndefined();
    },
  },
  {
    key: "dispose.one-handle",
    title: "disposing of one handle leaves another working",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      await one.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      await other.getCheckpoint(SCOPE, SHARD);
      await one[Symbol.asyncDispose]();
      const answer = other.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(2) });
      await expect(answer).resolves.toStrictEqual({ outcome: "written", stored: at(2) });
    },
  },
  {
    key: "dispose.borrowed-client",
    title: "a client that was handed in is not closed, and can be handed in again",
    async run({ harness }) {
      const borrowing = await harness.openOnBorrowedClient?.();
      if (borrowing === undefined) {
        expect.fail("give the harness openOnBorrowedClient(), or list this gap");
      }
      await borrowing.store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      await borrowing.store[Symbol.asyncDispose]();
      expect(await borrowing.clientWorks(), "the client works after dispose").toBe(true);
    },
  },
  {
    key: "restart.everything",
    title: "after a restart everything that was acknowledged is there",
    async run({ harness }) {
      const before = await harness.open();
      const row = applicationRow();
      await before.openApplication(SCOPE, row);
      await before.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1, 2) });
      await before.setCheckpoints(SCOPE, [
        { shardId: shard(1), checkpoint: at(7) },
        { shardId: shard(2), checkpoint: SHARD_END },
      ]);
      await before.resetCheckpoint(SCOPE, shard(1), at(3));
      await before[Symbol.asyncDispose]();

      const after = await harness.open();
      const answer = await after.openApplication(SCOPE, applicationRow(SCOPE, { start: "LATEST" }));
      expect(answer).toStrictEqual({ outcome: "existing", row });
      expect(await after.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1, 2));
      expect(await after.getCheckpoint(SCOPE, shard(1))).toStrictEqual(at(3));
      expect(await after.getCheckpoint(SCOPE, shard(2))).toStrictEqual({ kind: "shard-end" });
    },
  },
];
