import { startRedis } from "@kc-internal/test-services";
import type { Redis } from "ioredis";
import { expect, it, onTestFinished } from "vitest";
import { at, connect, openStore, ownScope, writeOf } from "./support/redis.ts";

/** The server's own count of the commands that were run since the last time. */
async function commandsOf(
  admin: Redis,
  work: () => Promise<unknown>,
): Promise<Record<string, number>> {
  await admin.config("RESETSTAT");
  await work();
  const text = await admin.info("commandstats");
  const counts: Record<string, number> = {};
  for (const [, name, calls] of text.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gm)) {
    if (!/^(config|info)/.test(name!)) counts[name!] = Number(calls);
  }
  return counts;
}

it("a flush costs one script and five commands a shard, a fenced one too", async () => {
  const server = await startRedis();
  onTestFinished(() => server.close());
  const admin = connect(server.url);
  const store = openStore({ client: admin });
  const scope = ownScope();
  const worker = { workerId: "a", incarnation: "1", weight: 1, maxShards: undefined };
  const shards = Array.from({ length: 10 }, (_, n) => `shardId-${n}`);
  await store.joinWorker(scope, worker);
  await store.putShards(
    scope,
    shards.map((shardId) => ({ shardId, lineage: "{}" })),
  );
  const leases = await store.acquireLeases(scope, worker, shards);
  const flush = (n: number) =>
    store.setCheckpoints(
      scope,
      leases.map(({ shardId, fence }) => ({ ...writeOf(at(n), shardId), fence })),
    );
  await flush(1);
  expect(await commandsOf(admin, () => flush(2))).toStrictEqual({
    evalsha: 10,
    get: 10,
    hmget: 10,
    set: 10,
    hset: 10,
    persist: 10,
  });
});
