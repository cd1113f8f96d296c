import { checkpointAt, shardEndAt, type ApplicationRow, type StoreScope } from "@kc/core";
import { startRedis, type RedisServer } from "@kc-internal/test-services";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RedisStore } from "../src/index.ts";
import { ApplicationKeys } from "../src/keys.ts";
import {
  at,
  connect,
  expectFailure,
  numberAt,
  openStore,
  ownScope,
  SHARD,
  writeOf,
} from "./support/redis.ts";

/** Of this file alone: its SCANs are counted. */
let server: RedisServer;
let client: Redis;
let scope: StoreScope;

/** The Go library's own key and commands. */
const goKey = (shardId = SHARD): string =>
  `${scope.application}:checkpoint:${scope.streamName}:${shardId}`;
const goWrites = (sequenceNumber: string, shardId = SHARD): Promise<unknown> =>
  client.set(goKey(shardId), sequenceNumber);
const goReads = (shardId = SHARD): Promise<string | null> => client.get(goKey(shardId));

const row = (): ApplicationRow => ({
  ...scope,
  streamARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
  start: "LATEST",
  startedAt: new Date(0),
  migrated: true,
});

/** A store of its own for each call: another process. */
const open = (searchForGo = true): RedisStore => openStore({ client, searchForGo });

async function scans(): Promise<number> {
  const stats = await client.info("commandstats");
  return Number(/cmdstat_scan:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.close());
beforeEach(() => {
  client = connect(server.url);
  scope = ownScope();
});

describe("what Go left", () => {
  it("is found, all of it, and is gone on with", async () => {
    const shards = Array.from({ length: 300 }, (_, n) => `shardId-${String(n).padStart(12, "0")}`);
    for (const [n, shardId] of shards.entries()) await goWrites(numberAt(n), shardId);
    const store = open();
    const found = await store.getCheckpoints(scope);
    expect(found.size).toBe(300);
    for (const [n, shardId] of shards.entries()) expect(found.get(shardId)).toStrictEqual(at(n));
    expect(await store.openApplication(scope, row())).toStrictEqual({
      outcome: "created",
      row: row(),
    });
    expect(await store.setCheckpoint(scope, writeOf(at(0)))).toMatchObject({ outcome: "same" });
    expect(await store.setCheckpoint(scope, writeOf(at(1)))).toMatchObject({ outcome: "written" });
    expect(await goReads()).toBe(numberAt(1));
  });

  it("of other applications and streams, and whatever looks alike, is left alone", async () => {
    const { application } = scope;
    await goWrites(numberAt(1));
    await client.mset(
      `${application}2:checkpoint:orders:${SHARD}`,
      numberAt(5),
      `${application}:checkpoint:orders2:${SHARD}`,
      numberAt(5),
      `${application}:checkpoint:orders:checkpoint:refunds:${SHARD}`,
      numberAt(5),
    );
    expect(await open().getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(1)]]));
  });

  it("is read a shard at a time too", async () => {
    await goWrites(numberAt(7));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(at(7));
  });

  it("that is no sequence number is named, and stays until that shard is reset", async () => {
    for (const garbage of ["SHARD_END", "007", "1".repeat(129), "12a"]) {
      await goWrites(garbage);
      const store = open();
      const corrupt = { code: "STORE_CORRUPT", retryable: false, text: SHARD } as const;
      await expectFailure(store.getCheckpoint(scope, SHARD), corrupt);
      await expectFailure(store.getCheckpoints(scope), corrupt);
      await expectFailure(store.setCheckpoint(scope, writeOf(at(1))), corrupt);
      expect(await goReads()).toBe(garbage);
      await store.resetCheckpoint(scope, SHARD, { kind: "shard-end" });
      expect(await goReads()).toBe("0");
      expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual({ kind: "shard-end" });
    }
  });

  it("as another type than a text is not ours", async () => {
    await client.hset(goKey(), "a", "b");
    const schema = { code: "STORE_SCHEMA", retryable: false, text: "WRONGTYPE" } as const;
    await expectFailure(open().getCheckpoint(scope, SHARD), schema);
    await expectFailure(open().setCheckpoint(scope, writeOf(at(1))), schema);
    expect(await client.hgetall(goKey())).toStrictEqual({ a: "b" });
  });
});

describe("what Go finds after us", () => {
  it("is a plain number, without a time to live", async () => {
    const store = open();
    for (const checkpoint of [at(1), at(2), { kind: "shard-end" } as const]) {
      await store.setCheckpoint(scope, writeOf(checkpoint));
    }
    expect(await client.type(goKey())).toBe("string");
    expect(await goReads()).toBe(numberAt(2));
    await client.expire(goKey(), 1000);
    await store.getCheckpoint(scope, SHARD);
    expect(await client.ttl(goKey())).toBe(-1);
  });

  it("is the last whole record while an aggregate is done in part: it repeats that", async () => {
    const position = { sequenceNumber: numberAt(2), subSequenceNumber: 3 };
    const inside = checkpointAt({ ...position, wholeSequenceNumber: numberAt(1) });
    await open().setCheckpoint(scope, writeOf(at(1)));
    await open().setCheckpoint(scope, writeOf(inside));
    expect(await goReads()).toBe(numberAt(1));
    // Where Go's key is gone, ours has the position.
    await client.del(goKey());
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(inside);
    await goWrites(numberAt(2));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(at(2));
  });

  it("is the number of a shard's last record at its end, flushed or not", async () => {
    await open().setCheckpoint(scope, writeOf(at(5)));
    const end = shardEndAt(numberAt(9));
    const store = open();
    expect(await store.setCheckpoint(scope, writeOf(end))).toStrictEqual({
      outcome: "written",
      stored: end,
    });
    expect(await goReads()).toBe(numberAt(9));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(end);
    await store.resetCheckpoint(scope, SHARD, shardEndAt(numberAt(7)));
    expect(await goReads()).toBe(numberAt(7));
  });

  it("is 0 for a shard that ended without a record", async () => {
    await open().setCheckpoint(scope, writeOf({ kind: "shard-end" }));
    expect(await goReads()).toBe("0");
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual({ kind: "shard-end" });
  });
});

describe("when Go has written again", () => {
  it("neither our shard end nor our sub-sequence number is believed", async () => {
    await open().setCheckpoint(scope, writeOf(at(5, 3)));
    await goWrites(numberAt(6));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(at(6));
    expect(await open().setCheckpoint(scope, writeOf(at(6)))).toMatchObject({ outcome: "same" });

    await open().setCheckpoint(scope, writeOf({ kind: "shard-end" }));
    await goWrites(numberAt(7));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(at(7));
    expect((await open().getCheckpoints(scope)).get(SHARD)).toStrictEqual(at(7));
    expect(await open().setCheckpoint(scope, writeOf(at(8)))).toStrictEqual({
      outcome: "written",
      stored: at(8),
    });
  });

  it("what belongs to the number that Go wrote once more is ours still", async () => {
    const position = { sequenceNumber: numberAt(5), subSequenceNumber: 3 };
    const inside = checkpointAt({ ...position, wholeSequenceNumber: numberAt(4) });
    await open().setCheckpoint(scope, writeOf(inside));
    await goWrites(numberAt(4));
    expect(await open().getCheckpoint(scope, SHARD)).toStrictEqual(inside);
  });

  it("the shard's lease stands: Go knows none", async () => {
    const [, companion] = new ApplicationKeys("", scope).shard(SHARD);
    const fence = { epoch: 3, owner: "worker#1" };
    await client.hset(companion, fence);
    await goWrites(numberAt(6));
    await expectFailure(open().setCheckpoint(scope, writeOf(at(7))), {
      code: "LEASE_LOST",
      retryable: false,
    });
    const write = { ...writeOf(at(7)), fence };
    expect(await open().setCheckpoint(scope, write)).toMatchObject({ outcome: "written" });
  });

  it("its new shards are found", async () => {
    const store = open();
    await store.getCheckpoints(scope);
    await store.openApplication(scope, row());
    await store.setCheckpoint(scope, writeOf(at(1)));
    await goWrites(numberAt(2));
    await goWrites(numberAt(3), "shardId-000000000007");
    expect(await open().getCheckpoints(scope)).toStrictEqual(
      new Map([
        [SHARD, at(2)],
        ["shardId-000000000007", at(3)],
      ]),
    );
  });

  it("its new shards are found too if all that we know have ended, and Go had nothing to write there", async () => {
    const store = open();
    await store.getCheckpoints(scope);
    await store.openApplication(scope, row());
    const end = shardEndAt(numberAt(2));
    await store.setCheckpoint(scope, writeOf(end));
    await goWrites(numberAt(3), "shardId-000000000007");
    expect(await open().getCheckpoints(scope)).toStrictEqual(
      new Map([
        [SHARD, end],
        ["shardId-000000000007", at(3)],
      ]),
    );
  });

  it("for the first time after our start, its shards are found too", async () => {
    const store = open();
    await store.getCheckpoints(scope);
    await store.openApplication(scope, row());
    await goWrites(numberAt(3));
    expect(await open().getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(3)]]));
  });
});

describe("the search for Go's keys", () => {
  it("is made once for an application, not at each start or read", async () => {
    await goWrites(numberAt(1));
    const first = open();
    const before = await scans();
    await first.getCheckpoints(scope);
    expect(await scans()).toBeGreaterThan(before);
    await first.openApplication(scope, row());
    await first.setCheckpoint(scope, writeOf(at(2)));
    const after = await scans();
    for (const store of [first, open(), open()]) {
      expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(2)]]));
      await store.setCheckpoint(scope, writeOf(at(2)));
      await store.getCheckpoint(scope, SHARD);
    }
    expect(await scans()).toBe(after);
  });

  it("continues when its caller gives up, and is joined by the next one", async () => {
    const others = Array.from({ length: 50_000 }, (_, n) => `${scope.application}-other-${n}`);
    await client.mset(Object.fromEntries(others.map((key) => [key, ""])));
    await goWrites(numberAt(1));
    const start = await scans();
    await openStore({ client: connect(server.url) }).getCheckpoints(ownScope());
    const whole = (await scans()) - start;

    const before = await scans();
    const halting = connect(server.url);
    const call = halting.call.bind(halting);
    let goOn = (): void => {};
    const halted = new Promise<void>((resolve) => {
      const going = new Promise<void>((go) => (goOn = go));
      Reflect.set(halting, "call", async (command: string, args: string[]) => {
        const page = await call(command, args);
        resolve();
        await going;
        return page;
      });
    });
    const store = openStore({ client: halting });
    const abort = new AbortController();
    const given = store.getCheckpoints(scope, { signal: abort.signal });
    await halted;
    abort.abort(new Error("30 s are over"));
    await expect(given).rejects.toThrow("30 s are over");
    expect(await scans(), "it is under way").toBe(before + 1);
    goOn();
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(1)]]));
    expect(await scans()).toBe(before + whole);
    await client.unlink(others);
  });

  it("is not needed for what was written here", async () => {
    await open(false).setCheckpoints(scope, [writeOf(at(1)), writeOf(at(2), "shardId-2")]);
    await open(false).resetCheckpoint(scope, "shardId-3", at(3));
    const found = await open(false).getCheckpoints(scope);
    expect([...found.keys()].toSorted()).toStrictEqual(
      [SHARD, "shardId-2", "shardId-3"].toSorted(),
    );
  });

  it("is made once by a process that finds nothing", async () => {
    const store = open();
    await store.getCheckpoints(scope);
    const after = await scans();
    await store.openApplication(scope, row());
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
    expect(await scans()).toBe(after);
  });

  it("is not made by who does not want it", async () => {
    await goWrites(numberAt(1));
    const before = await scans();
    expect(await open(false).getCheckpoints(scope)).toStrictEqual(new Map());
    expect(await open(false).getCheckpoint(scope, SHARD)).toStrictEqual(at(1));
    expect(await scans()).toBe(before);
  });

  it("finds keys among 20,000 others, some of which vanish meanwhile", async () => {
    await goWrites(numberAt(1));
    const others = Array.from({ length: 20_000 }, (_, n) => `${scope.application}-other-${n}`);
    await client.mset(Object.fromEntries(others.map((key) => [key, ""])));
    const [found] = await Promise.all([
      open().getCheckpoints(scope),
      client.unlink(others.slice(0, 10_000)),
    ]);
    expect(found).toStrictEqual(new Map([[SHARD, at(1)]]));
    await client.unlink(others);
  });
});
