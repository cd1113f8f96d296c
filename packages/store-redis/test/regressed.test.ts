import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import {
  Consumer,
  LeaseGroup,
  StoreRegressedError,
  type ApplicationRow,
  type StoreScope,
} from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { startRedis } from "@kc-internal/test-services";
import type { Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { RedisStore } from "../src/index.ts";
import { ApplicationKeys } from "../src/keys.ts";
import {
  at,
  connect,
  failure,
  numberAt,
  openStore,
  ownScope,
  SHARD,
  writeOf,
} from "./support/redis.ts";

let client: Redis;
let scope: StoreScope;
let keys: ApplicationKeys;
let store: RedisStore;

beforeEach(() => {
  client = connect();
  scope = ownScope();
  keys = new ApplicationKeys("", scope);
  store = openStore({ client });
});

const row = (startedAt = new Date(0)): ApplicationRow => ({
  ...scope,
  streamARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
  start: "LATEST",
  startedAt,
  migrated: false,
});

async function expectRegressed(call: Promise<unknown>): Promise<void> {
  const error = await failure(call);
  expect(error).toBeInstanceOf(StoreRegressedError);
  expect(error).toMatchObject({ code: "STORE_REGRESSED", retryable: false });
}

describe("a shard that is less far than this store has seen", () => {
  const changes: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["is gone", () => client.del(...keys.shard(SHARD))],
    ["is behind", () => client.set(keys.shard(SHARD)[0], numberAt(9))],
    [
      "has lost its sub-sequence number's successor",
      () => client.hset(keys.shard(SHARD)[1], "sub", 3),
    ],
  ];
  it.each(changes)("%s: it is neither read nor written", async (_, change) => {
    await store.setCheckpoint(scope, writeOf(at(10)));
    await change();
    const before = await client.mget(keys.shard(SHARD)[0]);
    await expectRegressed(store.getCheckpoint(scope, SHARD));
    await expectRegressed(store.getCheckpoints(scope));
    await expectRegressed(store.setCheckpoint(scope, writeOf(at(11))));
    await expectRegressed(store.setCheckpoints(scope, [writeOf(at(11))]));
    expect(await client.mget(keys.shard(SHARD)[0]), "nothing was written").toStrictEqual(before);
    // Another process takes what stands there, and so does this one by a reset.
    await openStore({ client }).getCheckpoint(scope, SHARD);
    await store.resetCheckpoint(scope, SHARD, at(4));
    expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(at(4));
  });

  it("takes no transaction: the effects of the one before are gone, and would not come again", async () => {
    const list = keys.userKey(SHARD, "list");
    const push = (n: number): Promise<unknown> => {
      const write = { shardId: SHARD, from: { sequenceNumber: numberAt(n) }, checkpoint: at(n) };
      return store.transact(scope, write, (tx) => tx.command("RPUSH", tx.key("list"), n));
    };
    await push(1);
    const replica = await client.get(keys.shard(SHARD)[0]);
    await push(2);
    // What a replica that lagged has of both.
    await client.set(keys.shard(SHARD)[0], replica!);
    await client.hset(keys.shard(SHARD)[1], "at", replica!);
    await client.rpop(list);
    await expectRegressed(push(3));
    expect(await client.lrange(list, 0, -1)).toStrictEqual(["1"]);
  });

  it("was only read before: that counts too", async () => {
    await openStore({ client }).setCheckpoint(scope, writeOf(at(10)));
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(10)]]));
    await client.del(...keys.shard(SHARD));
    await expectRegressed(store.setCheckpoint(scope, writeOf(at(11))));
  });

  it("was told 'behind' before: what the store had counts", async () => {
    await openStore({ client }).setCheckpoint(scope, writeOf(at(10)));
    await store.setCheckpoint(scope, writeOf(at(5)));
    await client.set(keys.shard(SHARD)[0], numberAt(7));
    await expectRegressed(store.setCheckpoint(scope, writeOf(at(8))));
  });

  it("lost its lease with it: that is no lost lease", async () => {
    const fence = { epoch: 3, owner: "worker#1" };
    await client.hset(keys.shard(SHARD)[1], fence);
    await store.setCheckpoint(scope, { ...writeOf(at(10)), fence });
    await client.del(...keys.shard(SHARD));
    await expectRegressed(store.setCheckpoint(scope, { ...writeOf(at(11)), fence }));
  });

  it("was reset elsewhere: that is no regression", async () => {
    await store.setCheckpoint(scope, writeOf(at(10)));
    const other = openStore({ client });
    await other.resetCheckpoint(scope, SHARD, at(3));
    expect(await store.setCheckpoint(scope, writeOf(at(4)))).toMatchObject({ outcome: "written" });
    await other.resetCheckpoint(scope, SHARD, undefined);
    expect(await store.getCheckpoint(scope, SHARD)).toBeUndefined();
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
  });

  it("has lost a reset", async () => {
    await store.setCheckpoint(scope, writeOf(at(10)));
    const before = await client.hgetall(keys.shard(SHARD)[1]);
    await store.resetCheckpoint(scope, SHARD, at(3));
    await client.set(keys.shard(SHARD)[0], numberAt(10));
    await client.hset(keys.shard(SHARD)[1], { ...before, epoch: 0 });
    await expectRegressed(store.getCheckpoint(scope, SHARD));
  });
});

describe("an application row that this store has seen", () => {
  it("is gone: it is not put again, and no shard is noted", async () => {
    await store.openApplication(scope, row());
    await client.del(keys.application);
    await expectRegressed(store.openApplication(scope, row()));
    await expectRegressed(store.getCheckpoints(scope));
    await expectRegressed(store.setCheckpoint(scope, writeOf(at(1))));
    expect(await client.exists(keys.application)).toBe(0);
  });

  it("is another's first start", async () => {
    await store.openApplication(scope, row());
    await client.del(keys.application);
    await openStore({ client }).openApplication(scope, row(new Date(5)));
    await expectRegressed(store.openApplication(scope, row()));
    await expectRegressed(store.getCheckpoints(scope));
  });
});

it("FLUSHALL under a running consumer ends its scan, and writes nothing", async () => {
  const server = await startRedis();
  onTestFinished(() => server.close());
  const admin = connect(server.url);
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  const put = (text: string): Promise<unknown> =>
    kinesis.send(
      new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data: Buffer.from(text) }),
    );
  const consumer = new Consumer({
    stream: "orders",
    application: scope.application,
    store: openStore({ connection: server.url }),
    client: kinesis,
    start: "TRIM_HORIZON",
    scanIntervalMs: 200,
    flushIntervalMs: 0,
  });
  const scan = consumer.scan(() => {});
  await put("first");
  await expect.poll(() => admin.get(keys.shard(SHARD)[0])).not.toBeNull();
  await admin.flushall();
  await put("second");
  await expectRegressed(scan);
  expect(await admin.dbsize()).toBe(0);
});

it("a shard that went back under leases: who had seen more ends, and another worker reads it from there", async () => {
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  const put = async (text: string): Promise<string> => {
    const record = { StreamName: "orders", PartitionKey: "a", Data: Buffer.from(text) };
    return (await kinesis.send(new PutRecordCommand(record))).SequenceNumber!;
  };
  const reading = (workerId: string, signal?: AbortSignal) => {
    const handled: string[] = [];
    const consumer = new Consumer({
      stream: "orders",
      application: scope.application,
      store: openStore({ client }),
      group: new LeaseGroup({ workerId }),
      client: kinesis,
      start: "TRIM_HORIZON",
      scanIntervalMs: 200,
    });
    const scan = consumer.scanTransaction(
      (records) => void handled.push(...records.map((record) => record.text())),
      { maxRecords: 1, ...(signal && { signal }) },
    );
    return { scan, handled };
  };
  const [checkpoint] = keys.shard(SHARD);
  const [first, second] = [await put("first"), await put("second")];
  const one = reading("one");
  await expect.poll(() => client.get(checkpoint), { timeout: 30_000 }).toBe(second);
  await client.set(checkpoint, first);
  await put("third");
  await expectRegressed(one.scan);
  expect(one.handled).toEqual(["first", "second", "third"]);
  const stop = new AbortController();
  const two = reading("two", stop.signal);
  await expect.poll(() => two.handled, { timeout: 30_000 }).toEqual(["second", "third"]);
  stop.abort();
  await two.scan;
});
