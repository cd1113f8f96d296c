import type { CheckpointWrite } from "@kc/core";
import { describe, expect, it, onTestFinished } from "vitest";
import { ConcurrencyLimit } from "../src/concurrency-limit.ts";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, at, namespace, number, openTable, scope } from "./support/fixture.ts";
import { startFaultyService } from "./support/service.ts";
import { SpyClient } from "./support/spy.ts";
import { connect } from "./support/table.ts";

const THROTTLED = { error: "ProvisionedThroughputExceededException" };

const ids = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `shardId-${String(index).padStart(12, "0")}`);
const flush = (shardIds: readonly string[], n: number): readonly CheckpointWrite[] =>
  shardIds.map((shardId) => ({ shardId, checkpoint: at(n) }));

/** A store whose table has a copy of every shard's lease, behind a front that counts and refuses. */
async function behindFront(shardIds: readonly string[]) {
  const { table, store: direct } = await openTable();
  await direct.openApplication(scope, applicationRow());
  await direct.setCheckpoints(scope, flush(shardIds, 0));
  const service = await startFaultyService();
  const client = connect(service, { maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  const store = new DynamoDBStore({ client, table: table.name });
  await store.getCheckpoints(scope);
  return { table, direct, service, store };
}

/** A store whose table accepts this many writes, and refuses the rest until the flush is given up. */
async function withCapacity(shardIds: readonly string[]) {
  const { table, store: direct } = await openTable();
  await direct.openApplication(scope, applicationRow());
  await direct.setCheckpoints(scope, flush(shardIds, 0));
  const spy = new SpyClient(table.client);
  const store = new DynamoDBStore({ client: spy, table: table.name });
  await store.getCheckpoints(scope);
  let paid = 0;

  /** As core's checkpointer does it: one call, which has its time. */
  async function flushWithin(
    capacity: number,
    writes: readonly CheckpointWrite[],
  ): Promise<"done" | "given up"> {
    const abort = new AbortController();
    let [begun, answered, refused] = [0, 0, 0];
    spy.before = () => {
      begun += 1;
      if (begun <= capacity) return;
      refused += 1;
      if (refused > 5 && answered === capacity) abort.abort(new Error("its time is over"));
      throw Object.assign(new Error("planted"), { name: THROTTLED.error });
    };
    spy.after = () => {
      answered += 1;
      paid += 1;
    };
    return store.setCheckpoints(scope, writes, { signal: abort.signal }).then(
      () => "done",
      (error: unknown) => {
        expect(error).toBe(abort.signal.reason);
        return "given up";
      },
    );
  }
  return { direct, flushWithin, paid: () => paid };
}

describe("a table with less capacity than a flush needs", () => {
  it("takes every shard in its turn, although all of them go on", async () => {
    const shardIds = ids(120);
    const { direct, flushWithin } = await withCapacity(shardIds);
    for (let round = 1; round <= 3; round += 1) {
      expect(await flushWithin(40, flush(shardIds, round))).toBe("given up");
    }
    const found = [...(await direct.getCheckpoints(scope)).values()];
    expect(found.filter((stored) => stored.sequenceNumber === number(0))).toStrictEqual([]);
  });

  it("is paid once for each position: what was acknowledged is not written again", async () => {
    const shardIds = ids(100);
    const { direct, flushWithin, paid } = await withCapacity(shardIds);
    expect(await flushWithin(40, flush(shardIds, 1))).toBe("given up");
    expect(await flushWithin(40, flush(shardIds, 1))).toBe("given up");
    expect(await flushWithin(40, flush(shardIds, 1))).toBe("done");
    expect(paid()).toBe(100);
    for (const [shardId, stored] of await direct.getCheckpoints(scope)) {
      expect(stored, shardId).toStrictEqual(at(1));
    }
  });

  it("has a position that was acknowledged asked for again once a flush was whole", async () => {
    const shardIds = ids(3);
    const { flushWithin, paid } = await withCapacity(shardIds);
    expect(await flushWithin(1, flush(shardIds, 1))).toBe("given up");
    expect(await flushWithin(2, flush(shardIds, 1))).toBe("done");
    expect(paid()).toBe(3);
    expect(await flushWithin(0, flush(shardIds, 1))).toBe("given up");
  });

  it("and that fills by the second ends one flush with all shards written", async () => {
    const shardIds = ids(150);
    const { service, store } = await behindFront(shardIds);
    const [perSecond, burst] = [100, 10];
    let [units, last] = [burst, performance.now()];
    service.fault = () => {
      const now = performance.now();
      units = Math.min(burst, units + ((now - last) / 1000) * perSecond);
      last = now;
      if (units < 1) return THROTTLED;
      units -= 1;
      return undefined;
    };
    const answers = await store.setCheckpoints(scope, flush(shardIds, 1));
    expect(answers).toStrictEqual(shardIds.map(() => ({ outcome: "written", stored: at(1) })));
  });
});

describe("a shard that was throttled for long", () => {
  it("gets another turn after the others, within the call", async () => {
    const shardIds = ids(20);
    const { service, store } = await behindFront(shardIds);
    let left = 8; // as often as one request is tried
    service.fault = (_operation, body) =>
      body.includes(`"${shardIds[3]}"`) && left-- > 0 ? THROTTLED : undefined;
    const answers = await store.setCheckpoints(scope, flush(shardIds, 1));
    expect(answers).toStrictEqual(shardIds.map(() => ({ outcome: "written", stored: at(1) })));
    expect(left).toBeLessThan(0);
  });
});

describe("one shard that fails", () => {
  it("that does not end is reported when all others are written", async () => {
    const shardIds = ids(60);
    const { table, direct, store } = await behindFront(shardIds);
    await table.put(namespace, shardIds[3]!, { sequence_number: { S: "no number" } });
    await expect(store.setCheckpoints(scope, flush(shardIds, 1))).rejects.toMatchObject({
      code: "STORE_CORRUPT",
    });
    await direct.resetCheckpoint(scope, shardIds[3]!, undefined);
    const found = await direct.getCheckpoints(scope);
    expect([...found.values()]).toStrictEqual(Array(59).fill(at(1)));
  });

  it("in passing holds none up that comes after it", async () => {
    const shardIds = ids(60);
    const { service, store, direct } = await behindFront(shardIds);
    service.fault = (_operation, body) =>
      body.includes(`"${shardIds[3]}"`) ? { error: "InternalServerError", status: 500 } : undefined;
    await expect(store.setCheckpoints(scope, flush(shardIds, 1))).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      retryable: true,
    });
    const behind = [...(await direct.getCheckpoints(scope))].filter(
      ([, stored]) => stored.sequenceNumber !== number(1),
    );
    expect(behind.map(([shardId]) => shardId)).toStrictEqual([shardIds[3]]);
  });
});

describe("a service that does not answer", () => {
  it("is not asked for each shard", async () => {
    const { service, store } = await behindFront(ids(300));
    service.requests.length = 0;
    service.fault = () => ({ error: "ServiceUnavailable", status: 503 });
    await expect(store.setCheckpoints(scope, flush(ids(300), 1))).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    expect(service.requests.length).toBeLessThan(50);
  });
});

it("a throttle halves what may be under way, down to one; answers bring it back by and by", () => {
  const concurrency = new ConcurrencyLimit();
  expect(concurrency.limit).toBe(32);
  concurrency.throttled();
  expect(concurrency.limit).toBe(16);
  for (let n = 0; n < 10; n += 1) concurrency.throttled();
  expect(concurrency.limit).toBe(1);
  concurrency.answered();
  expect(concurrency.limit).toBe(2);
  concurrency.answered();
  expect(concurrency.limit).toBe(2);
  for (let n = 0; n < 1000; n += 1) concurrency.answered();
  expect(concurrency.limit).toBe(32);
});
