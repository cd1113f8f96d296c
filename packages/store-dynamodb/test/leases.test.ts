import { ConfigError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, at, openTable, scope } from "./support/fixture.ts";
import { SpyClient } from "./support/spy.ts";

const me = { workerId: "a", incarnation: "1", weight: 1, maxShards: undefined };
const owner = "a#1";
const ids = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `shardId-${String(index).padStart(12, "0")}`);

/** A group of one, with this many free shards that have a checkpoint each. */
async function given(count: number) {
  const { table } = await openTable();
  const spy = new SpyClient(table.client);
  const store = new DynamoDBStore({ client: spy, table: table.name });
  const shardIds = ids(count);
  await store.openApplication(scope, applicationRow());
  await store.joinWorker(scope, me);
  await store.putShards(
    scope,
    shardIds.map((shardId) => ({ shardId, lineage: "{}" })),
  );
  await store.setCheckpoints(
    scope,
    shardIds.map((shardId) => ({ shardId, checkpoint: at(1) })),
  );
  spy.take();
  return { table, spy, store, shardIds };
}

const counted = (names: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};

describe("a heartbeat and a look", () => {
  it("are one request each", async () => {
    const { spy, store } = await given(3);
    for (let n = 1; n <= 3; n += 1) {
      expect(await store.heartbeat(scope, me)).toMatchObject({ outcome: "alive", counter: n });
      await store.listWorkers(scope);
      expect(spy.take()).toStrictEqual(["UpdateItem", "Query"]);
    }
  });

  it("report what others changed: the look at once, and the next heartbeat", async () => {
    const { table, store } = await given(3);
    const other = new DynamoDBStore({ client: table.client, table: table.name });
    const { revision } = await store.listWorkers(scope);
    await other.joinWorker(scope, { ...me, workerId: "b" });
    expect((await store.listWorkers(scope)).revision).toBe(revision + 1);
    expect(await store.heartbeat(scope, me)).toMatchObject({ revision: revision + 1 });
  });

  it("of a worker that has read nothing yet return the present revision", async () => {
    const { table, store } = await given(3);
    const { revision } = await store.listWorkers(scope);
    const fresh = new DynamoDBStore({ client: table.client, table: table.name });
    expect(await fresh.heartbeat(scope, me)).toMatchObject({ revision });
  });
});

describe("a claim", () => {
  it("of many shards reads leases and checkpoints by queries", async () => {
    const { spy, store, shardIds } = await given(60);
    const wanted = shardIds.slice(10, 50);
    const leases = await store.acquireLeases(scope, me, wanted);
    expect(counted(spy.take())).toStrictEqual({ Query: 3, TransactWriteItems: 40, UpdateItem: 1 });
    expect(leases).toHaveLength(40);
    expect(new Map(leases.map((lease) => [lease.shardId, lease]))).toStrictEqual(
      new Map(
        wanted.map((shardId) => [
          shardId,
          { shardId, fence: { epoch: 1, owner }, checkpoint: at(1) },
        ]),
      ),
    );
  });

  it("of a few shards reads these alone", async () => {
    const { spy, store, shardIds } = await given(60);
    const leases = await store.acquireLeases(scope, me, shardIds.slice(10, 13));
    expect(leases).toHaveLength(3);
    expect(counted(spy.take())).toStrictEqual({
      GetItem: 6,
      Query: 1,
      TransactWriteItems: 3,
      UpdateItem: 1,
    });
  });

  it("that meets a late one of its own answers with what that one got", async () => {
    const { table, spy, store, shardIds } = await given(20);
    const earlier = new DynamoDBStore({ client: table.client, table: table.name });
    let isLate = true;
    spy.before = async (name) => {
      if (name !== "TransactWriteItems" || !isLate) return;
      isLate = false;
      await earlier.acquireLeases(scope, me, shardIds.slice(0, 5));
    };
    const leases = await store.acquireLeases(scope, me, shardIds);
    expect(leases.map(({ shardId }) => shardId).toSorted()).toStrictEqual(shardIds);
    for (const { shardId, fence, checkpoint } of leases) {
      expect(fence, shardId).toStrictEqual({ epoch: 1, owner });
      expect(checkpoint, shardId).toStrictEqual(at(1));
    }
  });

  it("that was given up is continued: what it got is not claimed again, and is reported", async () => {
    const { spy, store, shardIds } = await given(100);
    const abort = new AbortController();
    let claims = 0;
    spy.after = (name) => {
      if (name === "TransactWriteItems" && ++claims === 50) abort.abort(new Error("too slow"));
    };
    const reason = await store
      .acquireLeases(scope, me, shardIds, { signal: abort.signal })
      .catch((error: unknown) => error);
    expect(reason).toBe(abort.signal.reason);
    const first = counted(spy.take())["TransactWriteItems"]!;
    // By shard: a claim that meets one of before, which is under way in the service still, is sent again.
    const second = new Set<string | undefined>();
    spy.before = (name) => {
      if (name === "TransactWriteItems")
        second.add(/shardId-\d+/.exec(JSON.stringify(spy.input))?.[0]);
    };
    const leases = await store.acquireLeases(scope, me, shardIds);
    expect(leases).toHaveLength(100);
    expect(first).toBeLessThan(100);
    // Those that were under way may have been done.
    expect(second.size).toBeLessThanOrEqual(50);
    for (const { shardId, fence, checkpoint } of leases) {
      expect(fence, shardId).toStrictEqual({ epoch: 1, owner });
      expect(checkpoint, shardId).toStrictEqual(at(1));
    }
  });
});

describe("the revision", () => {
  it("moves with a reset, forced or not", async () => {
    const { store, shardIds } = await given(2);
    await store.acquireLeases(scope, me, shardIds.slice(0, 1));
    const { revision } = await store.listWorkers(scope);
    await store.resetCheckpoint(scope, shardIds[0]!, at(0), { force: true });
    await store.resetCheckpoint(scope, shardIds[1]!, at(0));
    expect((await store.listWorkers(scope)).revision).toBe(revision + 2);
  });

  it("that could not follow a change follows with the next heartbeat", async () => {
    const { spy, store, shardIds } = await given(2);
    const { revision } = await store.listWorkers(scope);
    spy.before = (name) => {
      if (name === "UpdateItem")
        throw Object.assign(new Error("planted"), { name: "TimeoutError" });
    };
    await expect(store.acquireLeases(scope, me, shardIds)).rejects.toMatchObject({
      retryable: true,
    });
    spy.before = () => undefined;
    expect((await store.listWorkers(scope)).revision).toBe(revision);
    await store.heartbeat(scope, me);
    expect((await store.listWorkers(scope)).revision).toBe(revision + 1);
  });

  it("follows a change whose answer was lost with the next heartbeat", async () => {
    const { spy, store, shardIds } = await given(1);
    const { revision } = await store.listWorkers(scope);
    spy.after = (name) => {
      if (name !== "TransactWriteItems") return;
      throw Object.assign(new Error("planted"), { name: "TimeoutError" });
    };
    await expect(store.acquireLeases(scope, me, shardIds)).rejects.toMatchObject({
      retryable: true,
    });
    spy.after = () => undefined;
    expect((await store.listLeases(scope)).leases).toMatchObject([{ owner }]);
    await store.heartbeat(scope, me);
    await store.heartbeat(scope, me);
    expect((await store.listWorkers(scope)).revision).toBe(revision + 1);
  });

  it("follows a change whose neighbour failed", async () => {
    const { spy, store, shardIds } = await given(2);
    const { revision } = await store.listWorkers(scope);
    let claims = 0;
    spy.before = (name) => {
      if (name === "TransactWriteItems" && ++claims === 2) {
        throw Object.assign(new Error("planted"), { name: "TimeoutError" });
      }
    };
    await expect(store.acquireLeases(scope, me, shardIds)).rejects.toMatchObject({
      retryable: true,
    });
    expect((await store.listWorkers(scope)).revision).toBe(revision + 1);
  });
});

it.each([1e-300, 1e126])(
  "a weight of %d, which DynamoDB cannot keep, is refused",
  async (weight) => {
    const { store } = await given(1);
    const joining = store.joinWorker(scope, { ...me, workerId: "b", weight });
    await expect(joining).rejects.toThrow(ConfigError);
  },
);

it.each([1e-130, 0.1, 1 / 3, 123_456_789.123, 9.9e125])(
  "a weight of %d is kept",
  async (weight) => {
    const { store } = await given(1);
    await store.joinWorker(scope, { ...me, workerId: "b", weight });
    const { workers } = await store.listWorkers(scope);
    expect(workers.find(({ workerId }) => workerId === "b")).toMatchObject({ weight });
  },
);
