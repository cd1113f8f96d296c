import { randomUUID } from "node:crypto";
import { SHARD_END, shardEndAt, type ApplicationRow, type StoreScope } from "@kc/core";
import { startProxy, startRedis } from "@kc-internal/test-services";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { ApplicationKeys } from "../src/keys.ts";
import { recovered } from "./support/recovered.ts";
import {
  at,
  connect,
  expectFailure,
  failure,
  openStore,
  ownScope,
  SHARD,
  writeOf,
} from "./support/redis.ts";

const worker = { workerId: "a", incarnation: "1", weight: 1, maxShards: undefined };
const fence = { epoch: 1, owner: "a#1" };

let client: Redis;
let scope: StoreScope;
let keys: ApplicationKeys;

beforeEach(() => {
  client = connect();
  scope = ownScope();
  keys = new ApplicationKeys("", scope);
});

const row = (): ApplicationRow => ({
  ...scope,
  streamARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
  start: "LATEST",
  startedAt: new Date(0),
  migrated: false,
});

describe("a time to live that somebody set", () => {
  it("is taken away, of every key, by a worker's daily calls", async () => {
    const store = openStore({ client });
    await store.openApplication(scope, row());
    await store.joinWorker(scope, worker);
    await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
    await store.acquireLeases(scope, worker, [SHARD]);
    await store.setCheckpoint(scope, { ...writeOf(at(1)), fence });
    const all = [keys.application, keys.group, keys.lineages, ...keys.shard(SHARD)];
    for (const key of all) expect(await client.expire(key, 1000), key).toBe(1);
    await store.heartbeat(scope, worker);
    await store.listLeases(scope);
    await store.getCheckpoints(scope);
    for (const key of all) expect(await client.ttl(key), key).toBe(-1);
  });

  it("is taken away by a write that changes nothing", async () => {
    const store = openStore({ client });
    await store.setCheckpoint(scope, writeOf(at(1)));
    for (const key of keys.shard(SHARD)) await client.expire(key, 1000);
    expect(await store.setCheckpoint(scope, writeOf(at(1)))).toMatchObject({ outcome: "same" });
    for (const key of keys.shard(SHARD)) expect(await client.ttl(key), key).toBe(-1);
  });
});

describe("a checkpoint's key that is gone, evicted or expired", () => {
  it.each([
    ["a record", at(5)],
    ["a user record", at(5, 3)],
    ["an end", shardEndAt("7")],
    ["an end without a number", SHARD_END],
  ])("at %s is known by its companion", async (_what, checkpoint) => {
    await openStore({ client }).setCheckpoint(scope, writeOf(checkpoint));
    await client.del(keys.shard(SHARD)[0]);
    for (const store of [openStore({ client }), openStore({ client })]) {
      expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(checkpoint);
      expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, checkpoint]]));
    }
  });

  it("is written again, forward alone", async () => {
    const store = openStore({ client });
    await store.setCheckpoint(scope, writeOf(at(5)));
    const [key] = keys.shard(SHARD);
    await client.del(key);
    expect(await store.setCheckpoint(scope, writeOf(at(4)))).toStrictEqual({
      outcome: "behind",
      stored: at(5),
    });
    expect(await store.setCheckpoint(scope, writeOf(at(6)))).toMatchObject({ outcome: "written" });
    expect(await client.get(key)).toBe(at(6).sequenceNumber);
  });

  it("is none after a reset to none", async () => {
    const store = openStore({ client });
    await store.setCheckpoint(scope, writeOf(at(5)));
    await store.resetCheckpoint(scope, SHARD, undefined);
    expect(await openStore({ client }).getCheckpoint(scope, SHARD)).toBeUndefined();
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
  });
});

describe("a server that deletes what it likes when memory runs short", () => {
  it("is refused before anything is written", async () => {
    const server = await startRedis();
    onTestFinished(() => server.close());
    const admin = connect(server.url);
    await admin.config("SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru");
    const store = openStore({ client: admin });
    await expectFailure(store.openApplication(scope, row()), {
      code: "STORE_FAILED",
      retryable: false,
      text: "maxmemory-policy allkeys-lru",
    });
    expect(await admin.dbsize()).toBe(0);
    await admin.config("SET", "maxmemory-policy", "volatile-lru");
    expect(await store.openApplication(scope, row())).toMatchObject({ outcome: "created" });
    await admin.config("SET", "maxmemory", "0", "maxmemory-policy", "allkeys-lru");
    expect(await store.openApplication(scope, row())).toMatchObject({ outcome: "existing" });
  });

  it("cannot be checked without the right to INFO, and is let through", async () => {
    const name = `kc-${randomUUID()}`;
    await client.acl("SETUSER", name, "on", ">pass", "~*", "+@all", "-info");
    const limited = client.duplicate({ username: name, password: "pass", enableReadyCheck: false });
    onTestFinished(() => limited.disconnect());
    const store = openStore({ client: limited });
    expect(await store.openApplication(scope, row())).toMatchObject({ outcome: "created" });
  });
});

describe("a shard that another process removed", () => {
  it("is none, and no lost one, when its epoch is no longer remembered", async () => {
    const [one, other] = [openStore({ client }), openStore({ client })];
    await one.setCheckpoint(scope, writeOf(at(5)));
    expect(await other.getCheckpoint(scope, SHARD)).toStrictEqual(at(5));
    await one.removeShards(scope, [SHARD]);
    const [, companion] = keys.shard(SHARD);
    const remembered = await client.ttl(companion);
    expect(remembered).toBeGreaterThan(0);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + remembered * 1000 });
    onTestFinished(() => void vi.useRealTimers());
    await client.del(companion); // as its time to live does
    expect(await other.getCheckpoint(scope, SHARD)).toBeUndefined();
    expect(await other.getCheckpoints(scope)).toStrictEqual(new Map());
    expect(await other.setCheckpoint(scope, writeOf(at(1)))).toMatchObject({ outcome: "written" });
  });

  it("is none, and no lost one, for a store that looked at it since", async () => {
    const [one, other] = [openStore({ client }), openStore({ client })];
    await one.setCheckpoint(scope, writeOf(at(5)));
    expect(await other.getCheckpoint(scope, SHARD)).toStrictEqual(at(5));
    await one.removeShards(scope, [SHARD]);
    expect(await other.getCheckpoints(scope)).toStrictEqual(new Map());
    const [, companion] = keys.shard(SHARD);
    await client.del(companion); // as its time to live does
    expect(await other.getCheckpoints(scope)).toStrictEqual(new Map());
    expect(await other.setCheckpoint(scope, writeOf(at(1)))).toMatchObject({ outcome: "written" });
    expect(await one.getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(1)]]));
  });

  it("what was seen within the last hours counts, if only by a call that changed nothing", async () => {
    const store = openStore({ client });
    await store.setCheckpoint(scope, writeOf(at(5)));
    const hours = (n: number) => n * 3_600_000;
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start + hours(11) });
    onTestFinished(() => void vi.useRealTimers());
    await store.setCheckpoint(scope, writeOf(at(5)));
    vi.setSystemTime(start + hours(22));
    await client.del(...keys.shard(SHARD));
    expect(await failure(store.getCheckpoint(scope, SHARD))).toMatchObject({
      code: "STORE_REGRESSED",
    });
  });
});

it("a reset moves the revision, forced or not", async () => {
  const store = openStore({ client });
  await store.joinWorker(scope, worker);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  await store.acquireLeases(scope, worker, [SHARD]);
  const { revision } = await store.listWorkers(scope);
  await store.resetCheckpoint(scope, SHARD, at(1), { force: true });
  await store.resetCheckpoint(scope, SHARD, at(2));
  expect((await store.listWorkers(scope)).revision).toBe(revision + 2);
});

it("a revision that could not follow a change follows with the next heartbeat", async () => {
  const proxy = await startProxy(inject("redis"));
  onTestFinished(() => proxy.close());
  const store = openStore({ connection: `redis://${proxy.host}:${proxy.port}`, timeoutMs: 2000 });
  const direct = openStore({ client });
  await store.joinWorker(scope, worker);
  await store.putShards(scope, [{ shardId: SHARD, lineage: "{}" }]);
  const leases = await store.acquireLeases(scope, worker, [SHARD]);
  const { revision } = await store.listWorkers(scope);
  proxy.blackhole();
  const released = store.releaseLeases(scope, leases);
  await expectFailure(released, { code: "STORE_UNAVAILABLE", retryable: true });
  await proxy.restore();
  expect((await direct.listWorkers(scope)).revision).toBe(revision);
  await recovered(() => store.heartbeat(scope, worker));
  await store.heartbeat(scope, worker);
  expect((await direct.listWorkers(scope)).revision).toBe(revision + 1);
});
