import { Cluster } from "ioredis";
import { expect, inject, onTestFinished, test } from "vitest";
import { startRedisCluster } from "../src/index.ts";

function client(nodes: readonly { readonly host: string; readonly port: number }[]): Cluster {
  const cluster = new Cluster([...nodes], { clusterRetryStrategy: () => null });
  cluster.on("error", () => undefined);
  onTestFinished(() => cluster.disconnect());
  return cluster;
}

test("the shared cluster has three masters, and keys on each of them", async () => {
  const cluster = client(inject("redisCluster").nodes);
  expect(await cluster.set("key", "value")).toBe("OK");
  expect(cluster.nodes("master")).toHaveLength(3);
  const keys = Array.from({ length: 30 }, (_, i) => `spread-${i}`);
  await Promise.all(keys.map((key) => cluster.set(key, key)));
  const sizes = await Promise.all(cluster.nodes("master").map((node) => node.dbsize()));
  expect(Math.min(...sizes)).toBeGreaterThan(0);
});

test("it refuses a command whose keys lie in two slots, and takes one with a hash tag", async () => {
  const cluster = client(inject("redisCluster").nodes);
  await expect(cluster.mset("a", "1", "b", "2")).rejects.toThrow("CROSSSLOT");
  expect(await cluster.mset("{tag}a", "1", "{tag}b", "2")).toBe("OK");
});

test("a node that is killed and restarted comes back with its keys", async () => {
  await using server = await startRedisCluster();
  // Slot 12182, the third node's.
  await client(server.nodes).set("foo", "kept");
  const third = server.nodes[2];
  await third?.kill();
  await third?.restart();
  await server.whole();
  expect(await client(server.nodes).get("foo")).toBe("kept");
});
