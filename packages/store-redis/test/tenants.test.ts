import { readFileSync } from "node:fs";
import { leaseStoreRound } from "@kc/conformance";
import type { LeaseStore, StoreScope, WorkerMembership } from "@kc/core";
import { startRedis, type RedisServer } from "@kc-internal/test-services";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ApplicationKeys } from "../src/keys.ts";
import { at, connect, failure, numberAt, openStore, SHARD, writeOf } from "./support/redis.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const BILLING: StoreScope = { application: "billing", streamName: "orders" };
/** Names that begin and end alike are the hardest to keep apart by patterns. */
const OTHERS: readonly StoreScope[] = [
  { application: "audit", streamName: "orders" },
  { application: "billing", streamName: "orders-2" },
  { application: "billing-2", streamName: "orders" },
  { application: "pre-billing", streamName: "orders" },
];

let server: RedisServer;
let admin: Redis;
let tenant: string;

beforeAll(async () => {
  server = await startRedis();
  const { host, port } = server;
  tenant = `redis://billing:password@${host}:${port}`;
});
afterAll(() => server.close());
beforeEach(async () => {
  admin = connect(server.url);
  await admin.flushall();
  const [, line] = /^ACL SETUSER billing (.*)$/m.exec(readme)!;
  await admin.call("ACL", ["SETUSER", "billing", "reset", ...line!.split(" ")]);
});

const worker: WorkerMembership = {
  workerId: "a",
  incarnation: "i",
  weight: 1,
  maxShards: undefined,
};
const open = (): LeaseStore => openStore({ connection: tenant, searchForGo: false });

/** Every call of a LeaseStore; none would wait for anything. */
const CALLS: readonly (readonly [string, (store: LeaseStore, scope: StoreScope) => unknown])[] = [
  [
    "openApplication",
    (store, scope) =>
      store.openApplication(scope, {
        ...scope,
        streamARN: "arn",
        start: "LATEST",
        startedAt: new Date(0),
        migrated: false,
      }),
  ],
  ["getCheckpoint", (store, scope) => store.getCheckpoint(scope, SHARD)],
  ["getCheckpoints", (store, scope) => store.getCheckpoints(scope)],
  ["setCheckpoint", (store, scope) => store.setCheckpoint(scope, writeOf(at(9)))],
  ["setCheckpoints", (store, scope) => store.setCheckpoints(scope, [writeOf(at(9))])],
  [
    "resetCheckpoint",
    (store, scope) => store.resetCheckpoint(scope, SHARD, undefined, { force: true }),
  ],
  ["joinWorker", (store, scope) => store.joinWorker(scope, worker)],
  ["heartbeat", (store, scope) => store.heartbeat(scope, worker)],
  ["listWorkers", (store, scope) => store.listWorkers(scope)],
  ["evictWorker", (store, scope) => store.evictWorker(scope, { ...worker, counter: 0 })],
  ["leaveWorker", (store, scope) => store.leaveWorker(scope, worker)],
  ["putShards", (store, scope) => store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }])],
  ["listLeases", (store, scope) => store.listLeases(scope)],
  ["acquireLeases", (store, scope) => store.acquireLeases(scope, worker, [SHARD])],
  [
    "releaseLeases",
    (store, scope) =>
      store.releaseLeases(scope, [{ shardId: SHARD, fence: { owner: "a#i", epoch: 1 } }]),
  ],
  ["removeShards", (store, scope) => store.removeShards(scope, [SHARD])],
  ["watch", (store, scope) => store.watch?.(scope, () => undefined, AbortSignal.timeout(30_000))],
];

/** All of an application's keys and channels, held and written. */
async function givenApplication(scope: StoreScope): Promise<readonly string[]> {
  const store = openStore({ connection: server.url });
  await store.joinWorker(scope, worker);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const [lease] = await store.acquireLeases(scope, worker, [SHARD]);
  await store.setCheckpoint(scope, { ...writeOf(at(1)), fence: lease!.fence });
  const keys = new ApplicationKeys("", scope);
  return [...keys.shard(SHARD), keys.application, keys.group, keys.lineages];
}

describe("a tenant with the README's rights on its own keys", () => {
  it("does all that a worker does, and hears of changes", async () => {
    const watched = open();
    const stop = new AbortController();
    let hints = 0;
    const watch = watched.watch!(BILLING, () => (hints += 1), stop.signal);
    await expect.poll(() => hints).toBeGreaterThan(0);
    const before = hints;
    await leaseStoreRound(open(), BILLING);
    await expect.poll(() => hints).toBeGreaterThan(before);
    stop.abort();
    await watch;
  });

  it.each(CALLS)(
    "may not %s another's application, and the error names the missing right",
    async (_, call) => {
      for (const scope of OTHERS) {
        await givenApplication(scope);
        const error = await failure(Promise.resolve(call(open(), scope)));
        expect(error).toMatchObject({ code: "STORE_ACCESS_DENIED", retryable: false });
        expect(error.message).toMatch(/it may not (EVALSHA on|SUBSCRIBE to) /);
        const store = openStore({ connection: server.url });
        expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(at(1));
        const { leases } = await store.listLeases(scope);
        expect(leases).toMatchObject([{ shardId: SHARD, owner: "a#i", epoch: 1 }]);
        expect((await store.listWorkers(scope)).workers).toMatchObject([{ counter: 0 }]);
      }
    },
  );

  it("reads, writes and publishes to none of another's keys by any command that it has", async () => {
    const client = connect(tenant);
    const commands: readonly (readonly [string, (key: string) => readonly string[]])[] = [
      ["get", (key) => [key]],
      ["set", (key) => [key, "0"]],
      ["del", (key) => [key]],
      ["hgetall", (key) => [key]],
      ["hset", (key) => [key, "owner", "me"]],
      ["hdel", (key) => [key, "owner"]],
      ["expire", (key) => [key, "1"]],
      ["persist", (key) => [key]],
      ["publish", (key) => [key, "1"]],
      // Keys that a script does not declare are looked at too.
      ["eval", (key) => [`return redis.call('DEL', '${key}')`, "0"]],
    ];
    for (const scope of OTHERS) {
      for (const key of await givenApplication(scope)) {
        for (const [name, args] of commands) {
          const refused = client.call(name, [...args(key)]);
          await expect(refused, `${name} ${key}`).rejects.toThrow(/NOPERM|can't (run|access)/);
        }
      }
      const [checkpoint] = new ApplicationKeys("", scope).shard(SHARD);
      expect(await admin.get(checkpoint)).toBe(numberAt(1));
    }
    const others = [
      "flushall",
      "keys *",
      "scan 0",
      "config get *",
      "acl list",
      "monitor",
      "select 1",
    ];
    for (const command of others) {
      const [name, ...args] = command.split(" ");
      await expect(client.call(name!, args), command).rejects.toThrow(/NOPERM/);
    }
  });
});
