import { readFileSync } from "node:fs";
import { startRedis, startRedisCluster } from "@kc-internal/test-services";
import { Cluster } from "ioredis";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import type { RedisStore } from "../src/index.ts";
import { adminOf } from "./support/cluster.ts";
import { at, connect, numberAt, openStore, ownScope, SHARD, writeOf } from "./support/redis.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
let rule: string[];

beforeAll(() => {
  const [, line] = /^ACL SETUSER consumer (.*)$/m.exec(readme)!;
  rule = ["SETUSER", "consumer", ...line!.split(" ")];
});

/** Everything that a store does, the search for Go's keys and a server that forgot its scripts included. */
async function useAll(store: RedisStore, forget: () => Promise<unknown>): Promise<void> {
  const scope = ownScope();
  await store.getCheckpoints(scope);
  await store.openApplication(scope, {
    ...scope,
    streamARN: "arn",
    start: "LATEST",
    startedAt: new Date(0),
    migrated: false,
  });
  await store.setCheckpoints(scope, [writeOf(at(1)), writeOf(at(1, 2), "other")]);
  await forget();
  await store.setCheckpoint(scope, writeOf({ kind: "shard-end" }));
  await store.resetCheckpoint(scope, SHARD, undefined);
  expect(await store.getCheckpoint(scope, SHARD)).toBeUndefined();
  expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([["other", at(1, 2)]]));

  const worker = { workerId: "a", incarnation: "i", weight: 1, maxShards: undefined };
  await store.joinWorker(scope, worker);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  await store.releaseLeases(scope, await store.acquireLeases(scope, worker, [SHARD]));
  expect((await store.listLeases(scope)).leases).toMatchObject([
    { shardId: SHARD, owner: undefined },
  ]);
  await store.removeShards(scope, [SHARD]);
  await store.evictWorker(scope, { ...worker, counter: 0 });
  const stop = new AbortController();
  const hinted = new Promise<void>((resolve) => {
    void store.watch(scope, resolve, stop.signal).catch(() => undefined);
  });
  await hinted;
  stop.abort();
}

it("the rights in the README are enough", async () => {
  const server = await startRedis();
  onTestFinished(() => server.close());
  const admin = connect(server.url);
  await admin.call("ACL", rule);
  const connection = `redis://consumer:password@${server.host}:${server.port}`;
  const store = openStore({ connection });
  await useAll(store, () => admin.script("FLUSH"));

  await admin.call("ACL", ["SETUSER", "consumer", "-scan"]);
  await useAll(openStore({ connection, searchForGo: false }), () => admin.script("FLUSH"));
  // None is given that is not needed: without it, something is refused.
  const needed = ["evalsha", "eval", "persist", "get", "set", "del", "hget", "hset", "hmget"];
  // `publish` and `subscribe` are not among them: hints are no more than hints.
  for (const command of [...needed, "hkeys", "hincrby", "hdel", "hgetall", "hexists", "expire"]) {
    await admin.call("ACL", rule);
    await admin.call("ACL", ["SETUSER", "consumer", `-${command}`]);
    const all = useAll(openStore({ connection }), () => admin.script("FLUSH"));
    await expect(all, command).rejects.toMatchObject({
      code: "STORE_ACCESS_DENIED",
      message: expect.stringMatching(new RegExp(`it may not (\\w+ or )?${command}\\b`, "i")),
    });
  }
});

it("the rights in the README are enough in a cluster", async () => {
  const cluster = await startRedisCluster();
  onTestFinished(() => cluster.close());
  const nodes = await adminOf(cluster);
  for (const { client } of nodes) await client.call("ACL", rule);
  const startup = cluster.nodes.map(({ host, port }) => ({ host, port }));
  const client = new Cluster(startup, {
    redisOptions: { username: "consumer", password: "password" },
  });
  const forget = (): Promise<unknown> =>
    Promise.all(nodes.map(({ client: node }) => node.script("FLUSH")));
  await useAll(openStore({ client }), forget);
  client.disconnect();
  for (const node of nodes) node.client.disconnect();
});

it("the keys are those in the README", async () => {
  const client = connect();
  const scope = { application: ownScope().application, streamName: "orders" };
  const store = openStore({ client });
  await store.setCheckpoint(scope, writeOf(at(1, 2)));
  const [shown] = /^\| `billing:checkpoint:[^]*?\n\n/m.exec(readme)!;
  const keys = [...shown.matchAll(/^\| `([^`]+)`/gm)].map(([, key]) =>
    key!.replace("billing", scope.application),
  );
  const [checkpoint, companion, application] = keys as [string, string, string];
  // Inside an aggregate: Go's key has the last whole record, of which nothing is known here.
  expect(await client.get(checkpoint)).toBe("0");
  expect(await client.hgetall(companion)).toStrictEqual({
    at: "",
    inside: numberAt(1),
    whole: "0",
    sub: "2",
    end: "",
    ahead: "",
  });
  expect(await client.hkeys(application)).toStrictEqual([`shard:${SHARD}`]);
  await store.joinWorker(scope, {
    workerId: "a",
    incarnation: "i",
    weight: 1,
    maxShards: undefined,
  });
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const all = await client.keys(`*${scope.application}*`);
  expect(all.toSorted()).toStrictEqual(keys.toSorted());
});
