import {
  leaseStoreConformance,
  leaseStoreRound,
  letterAt,
  sendLetters,
  storeConformance,
  transactionalStoreConformance,
} from "@kc/conformance";
import type { StoreScope } from "@kc/core";
import { startRedisCluster, type RedisClusterServer } from "@kc-internal/test-services";
import { Cluster } from "ioredis";
import { Cluster as Cluster5 } from "ioredis-5";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { RedisStore } from "../src/index.ts";
import { ApplicationKeys } from "../src/keys.ts";
import {
  adminOf,
  clusterHarness,
  connectCluster,
  ownerOf,
  slotMove,
  type ClusterNode,
} from "./support/cluster.ts";
import { at, failure, numberAt, openStore, ownScope, SHARD, writeOf } from "./support/redis.ts";
import { recovered } from "./support/recovered.ts";
import { transactionalHarness } from "./support/transactional-harness.ts";

let cluster: RedisClusterServer;
let nodes: readonly ClusterNode[];
let scope: StoreScope;

beforeAll(async () => {
  cluster = await startRedisCluster();
  nodes = await adminOf(cluster);
});
afterAll(async () => {
  for (const { client } of nodes) client.disconnect();
  await cluster.close();
});
beforeEach(() => {
  scope = ownScope();
});

storeConformance("RedisStore on a cluster", () => clusterHarness(cluster));
leaseStoreConformance("RedisStore's leases on a cluster", () => clusterHarness(cluster));
transactionalStoreConformance("RedisStore's transactions on a cluster", () =>
  transactionalHarness(cluster),
);

function open(): RedisStore {
  const client = connectCluster(cluster);
  onTestFinished(() => client.disconnect());
  return openStore({ client, timeoutMs: 4000 });
}

const shards = Array.from({ length: 60 }, (_, n) => `shardId-${String(n).padStart(12, "0")}`);
const slotOf = (key: string): Promise<number> => nodes[0]!.client.cluster("KEYSLOT", key);

describe("slots", () => {
  it.each(["billing", "{billing}", "a{b", "{a}b}", "$1 ${x}", "ü:*"])(
    "of a shard's two keys are one, by the server's own reckoning: %s",
    async (application) => {
      const keys = new ApplicationKeys("", { application, streamName: "orders" });
      for (const shardId of [SHARD, "s:{y}"]) {
        const [checkpoint, companion] = keys.shard(shardId);
        expect(await slotOf(companion)).toBe(await slotOf(checkpoint));
      }
    },
  );

  it("of Go's keys are wherever they are: all are found", async () => {
    const client = connectCluster(cluster);
    const goKey = (shardId: string): string => `${scope.application}:checkpoint:orders:${shardId}`;
    for (const [n, shardId] of shards.entries()) await client.set(goKey(shardId), numberAt(n));
    const owners = await Promise.all(
      shards.map(async (shardId) => ownerOf(nodes, await slotOf(goKey(shardId)))),
    );
    expect(new Set(owners).size, "the test's keys are on all nodes").toBe(3);
    const found = await open().getCheckpoints(scope);
    expect(found.size).toBe(shards.length);
    for (const [n, shardId] of shards.entries()) expect(found.get(shardId)).toStrictEqual(at(n));
    client.disconnect();
  });
});

describe("a transaction's slot", () => {
  it("of a transaction's keys is the shard's; another is refused before anything is sent", async () => {
    const store = open();
    const write = { shardId: SHARD, from: { sequenceNumber: numberAt(1) }, checkpoint: at(3) };
    const keys = new ApplicationKeys("", scope);
    const [checkpoint] = keys.shard(SHARD);
    const own = keys.userKey(SHARD, "list");
    expect(await slotOf(own)).toBe(await slotOf(checkpoint));
    const other = store.transact(scope, write, (tx) => {
      tx.command("RPUSH", own, "a");
      tx.command("RPUSH", "list", "a");
    });
    const error = await failure(other);
    expect(error).toMatchObject({
      code: "TRANSACTION_MISUSED",
      message: expect.stringMatching(/RPUSH list: .*\{.+\}.*tx\.key/),
    });
    const sent = await store.transact(scope, write, (tx) => {
      tx.command("RPUSH", tx.key("list"), "a");
      tx.command("SET", `{${checkpoint}}`, "b");
    });
    expect(sent.outcome).toBe("committed");
    const client = connectCluster(cluster);
    onTestFinished(() => client.disconnect());
    expect(await client.lrange(own, 0, -1)).toStrictEqual(["a"]);
  });
});

describe("a slot that moves", () => {
  it("stops no write for ever, loses none, and moves no checkpoint back", async () => {
    const store = open();
    await store.setCheckpoint(scope, writeOf(at(0)));
    const keys = new ApplicationKeys("", scope).shard(SHARD);
    const slot = await slotOf(keys[0]);
    const from = await ownerOf(nodes, slot);
    const to = nodes.find((node) => node !== from)!;

    let last = 0;
    let stop = false;
    const outcomes = new Map<string, number>();
    const writing = (async () => {
      while (!stop) {
        const checkpoint = at(last + 1);
        const answer = await recovered(() => store.setCheckpoint(scope, writeOf(checkpoint)));
        outcomes.set(answer.outcome, (outcomes.get(answer.outcome) ?? 0) + 1);
        expect(answer.stored).toStrictEqual(checkpoint);
        last += 1;
      }
    })();
    const progress = async (): Promise<void> => {
      const before = last;
      await expect.poll(() => last).toBeGreaterThan(before + 5);
    };
    try {
      const move = slotMove(slot, from, to);
      await progress();
      await move.begin();
      await progress();
      await to.client.script("FLUSH");
      expect(await move.moveKeys()).toBeGreaterThanOrEqual(2);
      // The old node still owns the slot and sends each call on; the new one had no scripts.
      await progress();
      await move.end(nodes);
      await progress();
    } finally {
      stop = true;
      await writing;
    }
    // A message of the old owner that was under way may come last, until the new one's own comes.
    await expect.poll(() => ownerOf(nodes, slot)).toBe(to);
    expect(await to.client.get(keys[0])).toBe(numberAt(last));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(at(last));
    expect([...outcomes.keys()].filter((each) => each === "behind")).toStrictEqual([]);
  });

  it("away under a client that has not heard of it is followed", async () => {
    const store = open();
    await store.setCheckpoint(scope, writeOf(at(1)));
    const slot = await slotOf(new ApplicationKeys("", scope).shard(SHARD)[0]);
    const from = await ownerOf(nodes, slot);
    const move = slotMove(
      slot,
      from,
      nodes.find((node) => node !== from)!,
    );
    await move.begin();
    await move.moveKeys();
    await move.end(nodes);
    expect(await recovered(() => store.setCheckpoint(scope, writeOf(at(2))))).toMatchObject({
      outcome: "written",
    });
  });
});

describe("a node that is killed", () => {
  it("makes its shards unavailable until it is back, with all that was acknowledged", async () => {
    const store = open();
    const flush = (n: number) =>
      store.setCheckpoints(
        scope,
        shards.map((shardId) => writeOf(at(n), shardId)),
      );
    await flush(1);
    await cluster.nodes[1]!.kill();
    const error = await failure(flush(2));
    await cluster.nodes[1]!.restart();
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    const answers = await recovered(() => flush(2));
    for (const { outcome } of answers) expect(["written", "same"]).toContain(outcome);
    expect((await recovered(() => open().getCheckpoints(scope))).size).toBe(shards.length);
  });
});

describe("a client with the driver's own pipelining", () => {
  it.each([
    ["ioredis", Cluster],
    ["ioredis 5", Cluster5],
  ] as const)("of %s finds the nodes of all shards", async (_driver, Driver) => {
    const startup = cluster.nodes.map(({ host, port }) => ({ host, port }));
    const client = new Driver(startup, { enableAutoPipelining: true });
    client.on("error", () => undefined);
    onTestFinished(() => client.disconnect());
    const store = openStore({ client, timeoutMs: 4000 });
    for (const n of [1, 2]) {
      const answers = await store.setCheckpoints(
        scope,
        shards.map((shardId) => writeOf(at(n), shardId)),
      );
      expect(new Set(answers.map(({ outcome }) => outcome))).toStrictEqual(new Set(["written"]));
    }
    expect(await store.getCheckpoints(scope)).toStrictEqual(
      new Map(shards.map((shardId) => [shardId, at(2)])),
    );
  });
});

describe("a watch", () => {
  it("hears on whatever node it listens, and listens to another one when that is gone", async () => {
    const store = open();
    let hints = 0;
    const stop = new AbortController();
    const watched = store.watch(scope, () => (hints += 1), stop.signal);
    const join = (workerId: string) =>
      store.joinWorker(scope, { workerId, incarnation: "1", weight: 1, maxShards: undefined });
    await expect.poll(() => hints).toBeGreaterThan(0);
    for (const { client } of nodes) {
      hints = 0;
      await client.call("CLIENT", "KILL", "TYPE", "pubsub");
      for (let n = 0; hints < 2; n += 1) await join(`${client.options.port}-${n}`);
    }
    stop.abort();
    await watched;
  });
});

describe("a client that reads from replicas", () => {
  it.each(["slave", "all"] as const)("by scaleReads: %s works", async (scaleReads) => {
    const client = connectCluster(cluster, { scaleReads });
    onTestFinished(() => client.disconnect());
    await leaseStoreRound(openStore({ client, timeoutMs: 4000 }), scope);
  });

  it("is not asked to: no call of the store is one that ioredis would send to a replica", async () => {
    const routed: string[] = [];
    // Called for commands that may go to a replica, and no others.
    const scaleReads = (
      choices: readonly unknown[],
      command: { readonly name: string },
    ): unknown => {
      routed.push(command.name);
      return choices[0];
    };
    const client = connectCluster(cluster, { scaleReads });
    onTestFinished(() => client.disconnect());
    await client.get(scope.application);
    expect(routed.splice(0), "the test sees them").toStrictEqual(["get"]);

    const store = openStore({ client, timeoutMs: 4000 });
    await store.getCheckpoints(scope);
    await store.setCheckpoints(
      scope,
      shards.map((shardId) => writeOf(at(1), shardId)),
    );
    expect((await store.getCheckpoints(scope)).size).toBe(shards.length);
    expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(at(1));
    expect(routed).toStrictEqual([]);
  });
});

it("has all dead letters in one slot, where they are listed and removed", async () => {
  const letters = open().deadLetters();
  const letter = letterAt(0);
  await sendLetters(letters, [letter]);
  expect(await letters.list({ application: "billing" })).toEqual({ letters: [letter] });
  await letters.remove([letter.id]);
  expect(await letters.list()).toEqual({ letters: [] });
});
