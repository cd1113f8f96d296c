import type { StoreError } from "@kc/core";
import {
  startDynamoDbLocal,
  startProxy,
  type DynamoDbLocalServer,
} from "@kc-internal/test-services";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, at, openTable, scope, shardId } from "./support/fixture.ts";
import { startFaultyService, type FaultyService } from "./support/service.ts";
import { connect, type Table } from "./support/table.ts";

const write = { shardId, checkpoint: at(1) };
const unavailable = { code: "STORE_UNAVAILABLE", retryable: true } as const;
const denied = { code: "STORE_ACCESS_DENIED", retryable: false } as const;
const closed = { code: "STORE_CLOSED", retryable: false } as const;

/** More than a store asks for at once. */
const SHARDS = 80;
const flush = (n: number) =>
  Array.from({ length: SHARDS }, (_, index) => ({
    shardId: `shardId-${String(index).padStart(12, "0")}`,
    checkpoint: at(n),
  }));

/** Tries again what fails in passing, as the consumer does, until its deadline. */
async function untilDone<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const { retryable } = error as Partial<StoreError>;
      if (retryable !== true || performance.now() > deadline) throw error;
    }
  }
}

/** A store that sees the service through a front; the SDK's own retries are off. */
async function behindFront(): Promise<{
  service: FaultyService;
  store: DynamoDBStore;
  table: Table;
}> {
  const { table } = await openTable();
  const service = await startFaultyService();
  const client = connect(service, { maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  const store = new DynamoDBStore({ client, table: table.name });
  await store.openApplication(scope, applicationRow());
  await store.setCheckpoint(scope, { shardId, checkpoint: at(0) });
  service.requests.length = 0;
  return { service, store, table };
}

describe("a request that the service refuses in passing", () => {
  it.each([
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TransactionConflictException",
  ])("%s is sent again within the call", async (error) => {
    const { service, store } = await behindFront();
    let left = 3;
    service.fault = () => (left-- > 0 ? { error } : undefined);
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
    expect(service.requests).toStrictEqual(Array(4).fill("UpdateItem"));
  });

  it("and refuses for long fails in passing, after eight tries", async () => {
    const { service, store } = await behindFront();
    service.fault = () => ({ error: "ThrottlingException" });
    await expect(store.setCheckpoint(scope, write)).rejects.toMatchObject(unavailable);
    expect(service.requests).toHaveLength(8);
    service.fault = () => undefined;
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("in a bulk write costs one shard a moment, and none its outcome", async () => {
    const { service, store } = await behindFront();
    // Each request of every fifth shard, once.
    const refused = new Set<string>();
    service.fault = (operation, body) => {
      const [shard = ""] = /shardId-\d+[05](?=")/.exec(body) ?? [];
      if (shard === "" || refused.has(operation + shard)) return undefined;
      refused.add(operation + shard);
      return { error: "ThrottlingException" };
    };
    const answers = await store.setCheckpoints(scope, flush(1));
    expect(answers.map(({ outcome }) => outcome)).toStrictEqual(Array(SHARDS).fill("written"));
    expect(refused.size).toBe((2 * SHARDS) / 5 - 1);
  });

  it("lets an abort end the wait with its reason", async () => {
    const { service, store } = await behindFront();
    const controller = new AbortController();
    const reason = new Error("no more patience");
    service.fault = () => {
      if (service.requests.length === 3) controller.abort(reason);
      return { error: "ThrottlingException" };
    };
    const call = store.setCheckpoint(scope, write, { signal: controller.signal });
    await expect(call).rejects.toBe(reason);
  });

  it.each([
    ["ExpiredTokenException", 400],
    ["InternalServerError", 500],
    ["ServiceUnavailable", 503],
  ])("%s is the caller's to try again", async (error, status) => {
    const { service, store } = await behindFront();
    service.fault = () => ({ error, status });
    await expect(store.setCheckpoint(scope, write)).rejects.toMatchObject(unavailable);
    await expect(store.getCheckpoint(scope, shardId)).rejects.toMatchObject(unavailable);
    expect(service.requests).toHaveLength(2);
    service.fault = () => undefined;
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("a proxy's page of HTML in place of an answer is no answer", async () => {
    const { service, store } = await behindFront();
    service.fault = () => ({ error: "", status: 502, body: "<html>Bad Gateway</html>" });
    await expect(store.getCheckpoint(scope, shardId)).rejects.toMatchObject(unavailable);
  });
});

describe("rights that are taken away", () => {
  it.each(["AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException"])(
    "%s passes for a minute on a store that has worked, then lasts, and is over when they are back",
    async (error) => {
      const { service, store } = await behindFront();
      vi.useFakeTimers({ toFake: ["performance"] });
      onTestFinished(() => void vi.useRealTimers());
      service.fault = () => ({ error });
      const calls = [
        () => store.openApplication(scope, applicationRow()),
        () => store.getCheckpoint(scope, shardId),
        () => store.getCheckpoints(scope),
        () => store.setCheckpoint(scope, write),
        () => store.setCheckpoints(scope, [write]),
        () => store.resetCheckpoint(scope, shardId, undefined),
        () => store.setup(),
      ];
      for (const retryable of [true, false]) {
        for (const call of calls) {
          await expect(call()).rejects.toMatchObject({ ...denied, retryable });
        }
        vi.advanceTimersByTime(60_000);
      }
      expect(service.requests).toHaveLength(2 * calls.length);
      service.fault = () => undefined;
      expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
    },
  );

  it("that were never there are lasting", async () => {
    const service = await startFaultyService();
    const client = connect(service, { maxAttempts: 1 });
    onTestFinished(() => client.destroy());
    service.fault = () => ({ error: "AccessDeniedException" });
    const store = new DynamoDBStore({ client, table: "checkpoints" });
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(denied);
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(denied);
  });

  it("end a bulk write at once, not shard by shard", async () => {
    const { service, store } = await behindFront();
    service.fault = () => ({ error: "AccessDeniedException" });
    await expect(store.setCheckpoints(scope, flush(1))).rejects.toMatchObject({
      ...denied,
      retryable: true,
    });
    expect(service.requests.length).toBeLessThanOrEqual(36); // 32 at once, and four in a row
  });
});

describe("a reply that is lost", () => {
  it("leaves a write done: the next try answers 'same'", async () => {
    const { service, store } = await behindFront();
    service.fault = () => "lost-reply";
    await expect(store.setCheckpoint(scope, write)).rejects.toMatchObject(unavailable);
    service.fault = () => undefined;
    expect(await store.setCheckpoint(scope, write)).toStrictEqual({
      outcome: "same",
      stored: at(1),
    });
  });
});

describe("a connection", () => {
  /** A store behind a proxy, whose requests may take so long. */
  async function behindProxy(timeoutMs: number) {
    const { table, store: patient } = await openTable();
    await patient.openApplication(scope, applicationRow());
    await patient.setCheckpoints(scope, flush(1));
    const proxy = await startProxy(inject("dynamodb"));
    const client = connect(proxy);
    onTestFinished(async () => {
      client.destroy();
      await proxy.close();
    });
    const store = new DynamoDBStore({ client, table: table.name, timeoutMs });
    await untilDone(() => store.openApplication(scope, applicationRow()));
    return { proxy, store, client, table };
  }

  it("that is cut in the middle of a flush loses no answered write, and recovers", async () => {
    const { proxy, store } = await behindProxy(5000);
    const flushing = store.setCheckpoints(scope, flush(2));
    await Promise.all([expect(flushing).rejects.toMatchObject(unavailable), proxy.cut()]);
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(unavailable);
    await proxy.restore();
    const answers = await untilDone(() => store.setCheckpoints(scope, flush(2)));
    for (const { outcome } of answers) expect(["written", "same"]).toContain(outcome);
    const found = await store.getCheckpoints(scope);
    for (const { shardId: each } of flush(2)) expect(found.get(each), each).toStrictEqual(at(2));
  });

  it("that is half-open ends with the time-out, and the next one works", async () => {
    const { proxy, store } = await behindProxy(300);
    proxy.blackhole();
    const calls = [
      () => store.setCheckpoint(scope, { shardId, checkpoint: at(2) }),
      () => store.setCheckpoints(scope, flush(2)),
      () => store.getCheckpoints(scope),
    ];
    for (const call of calls) {
      const error = await call().catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        ...unavailable,
        message: expect.stringContaining("no answer within 300 ms"),
      });
    }
    await proxy.restore();
    // Those that were held back may still land: none moves a shard back.
    const { outcome } = await untilDone(() => store.setCheckpoint(scope, write));
    expect(["same", "behind"]).toContain(outcome);
    await untilDone(() => store.setCheckpoints(scope, flush(3)));
    const found = await untilDone(() => store.getCheckpoints(scope));
    for (const { shardId: each } of flush(3)) expect(found.get(each), each).toStrictEqual(at(3));
  });

  it("that hangs is left by an abort, with its reason", async () => {
    const { proxy, store } = await behindProxy(60_000);
    proxy.blackhole();
    const controller = new AbortController();
    const reason = new Error("no more patience");
    const call = store.setCheckpoints(scope, flush(2), { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(call).rejects.toBe(reason);
  });

  it("that hangs is left by dispose, and the client that was handed in lives on", async () => {
    const { proxy, store, client, table } = await behindProxy(60_000);
    proxy.blackhole();
    const call = store.setCheckpoints(scope, flush(2));
    setImmediate(() => void store[Symbol.asyncDispose]());
    await expect(call).rejects.toMatchObject(closed);
    await proxy.restore();
    const next = new DynamoDBStore({ client, table: table.name });
    expect((await next.getCheckpoints(scope)).size).toBe(SHARDS);
  });

  it("of a client that ignores its signal ends with the time-out all the same", async () => {
    const { table } = await openTable();
    const client = { send: () => new Promise<never>(() => {}) };
    const store = new DynamoDBStore({ client, table: table.name, timeoutMs: 100 });
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(unavailable);
  });
});

describe("a server", () => {
  let server: DynamoDbLocalServer;

  beforeAll(async () => {
    server = await startDynamoDbLocal();
  });
  afterAll(() => server.close());

  async function openOn(table: string, timeoutMs: number): Promise<DynamoDBStore> {
    const client = connect(server);
    onTestFinished(() => client.destroy());
    // A server that has just begun is slow.
    const first = new DynamoDBStore({ client, table, timeoutMs: 60_000 });
    await first.setup();
    await first.openApplication(scope, applicationRow());
    await first.setCheckpoints(scope, flush(1));
    const store = new DynamoDBStore({ client, table, timeoutMs });
    await untilDone(() => store.openApplication(scope, applicationRow()));
    return store;
  }

  it("that is frozen for longer than the time-out fails in passing, and keeps what it had", async () => {
    const store = await openOn("frozen", 300);
    const flushing = store.setCheckpoints(scope, flush(2));
    server.freeze();
    await expect(flushing).rejects.toMatchObject(unavailable);
    await expect(store.getCheckpoint(scope, shardId)).rejects.toMatchObject(unavailable);
    server.thaw();
    const found = await untilDone(() => store.getCheckpoints(scope));
    expect(found.size).toBe(SHARDS);
    await untilDone(() => store.setCheckpoints(scope, flush(3)));
    for (const [each, stored] of await untilDone(() => store.getCheckpoints(scope))) {
      expect(stored, each).toStrictEqual(at(3));
    }
  });

  it("that is killed in the middle of a flush fails in passing; a table that is gone does not", async () => {
    const store = await openOn("killed", 60_000);
    const flushing = store.setCheckpoints(scope, flush(2));
    await Promise.all([expect(flushing).rejects.toMatchObject(unavailable), server.kill()]);
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(unavailable);
    // DynamoDB Local keeps its tables in memory: it comes back with none.
    await server.restart();
    const untilMissing = async (): Promise<unknown> => {
      const error: unknown = await store.getCheckpoints(scope).catch((reason: unknown) => reason);
      return (error as Partial<StoreError>).code;
    };
    await expect.poll(untilMissing).toBe("STORE_SCHEMA");
    await store.setup();
    const answers = await store.setCheckpoints(scope, flush(2));
    expect(answers.map(({ outcome }) => outcome)).toStrictEqual(Array(SHARDS).fill("written"));
  });
});

describe("a table", () => {
  it("that is dropped under a store is missed by every call, with what to deploy", async () => {
    const { table, store } = await openTable();
    await store.openApplication(scope, applicationRow());
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    await table.drop();
    const calls = [
      () => store.openApplication(scope, applicationRow()),
      () => store.getCheckpoint(scope, shardId),
      () => store.getCheckpoints(scope),
      () => store.setCheckpoint(scope, write),
      () => store.setCheckpoints(scope, [write]),
      () => store.resetCheckpoint(scope, shardId, at(1)),
    ];
    // It may be one that is being restored: for a minute.
    for (const retryable of [true, false]) {
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({
          code: "STORE_SCHEMA",
          retryable,
          message: expect.stringContaining(`TableName: ${table.name}`),
        });
      }
      vi.advanceTimersByTime(60_000);
    }
    await store.setup();
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });
});
