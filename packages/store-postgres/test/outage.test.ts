import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { startPostgres, startProxy, type PostgresServer } from "@kc-internal/test-services";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { SCOPE, SHARD } from "./support/leases.ts";
import { at, CLOSED, failure, open, recovers, UNAVAILABLE, untilWaiting } from "./support/open.ts";
import { eventually } from "./support/poll.ts";

/** Long enough for a busy machine's answer, short enough to wait for it. */
const timeoutMs = 1000;

describe("the server", () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });

  afterAll(() => server.close());

  test("is killed in the middle of flushes and comes back: nothing acknowledged is lost", async () => {
    const { store } = await open(server);
    const shardIds = [SHARD, "shardId-b", "shardId-c"];
    const errors: unknown[] = [];
    let acknowledged = 0;
    let stop = false;
    const flush = async (n: number): Promise<void> => {
      await store.setCheckpoints(
        SCOPE,
        shardIds.map((shardId) => at(n, shardId)),
      );
      acknowledged = n;
    };
    const flushing = (async () => {
      for (let n = 1; !stop; n++) await flush(n).catch((error: unknown) => errors.push(error));
    })();
    const progress = (from: number): Promise<unknown> =>
      eventually(
        "flushes",
        () => acknowledged,
        (n) => n > from + 20,
      );
    await progress(0);
    await server.kill();
    await eventually(
      "failures",
      () => errors.length,
      (count) => count > 3,
    );
    expect(await failure(store.getCheckpoints(SCOPE))).toMatchObject(UNAVAILABLE);
    const before = acknowledged;
    await server.restart();
    // What the server kept is at least what it had acknowledged, and it came before this.
    await progress(before);
    stop = true;
    await flushing;
    for (const error of errors) expect(error).toMatchObject(UNAVAILABLE);
    const found = await store.getCheckpoints(SCOPE);
    for (const shardId of shardIds) {
      expect(found.get(shardId), shardId).toEqual(at(acknowledged).checkpoint);
    }
  });

  test("keeps over kill -9 what it acknowledged, byte by byte", async () => {
    const { store } = await open(server);
    const end = { shardId: "ended", checkpoint: { kind: "shard-end" } } as const;
    await store.setCheckpoints(SCOPE, [at(7), end]);
    await server.kill();
    await server.restart();
    const found = await eventually(
      "a read after the restart",
      () => failure(store.getCheckpoints(SCOPE)),
      (answer) => "answer" in Object(answer),
    );
    const kept = new Map([at(7), end].map(({ shardId, checkpoint }) => [shardId, checkpoint]));
    expect(found).toEqual({ answer: kept });
  });

  test("stops in an orderly way, as for a failover: passing", async () => {
    const { store } = await open(server);
    await store.setCheckpoint(SCOPE, at(1));
    await server.stop();
    expect(await failure(store.setCheckpoint(SCOPE, at(2)))).toMatchObject(UNAVAILABLE);
    await server.restart();
    await recovers(store, 2);
  });

  test("is frozen for longer than a call may take: the call ends, the next ones pass", async () => {
    const { store, pool } = await open(server, { timeoutMs });
    await recovers(store, 1);
    server.freeze();
    try {
      const errors = await Promise.all([
        failure(store.setCheckpoint(SCOPE, at(2))),
        failure(store.getCheckpoint(SCOPE, SHARD)),
      ]);
      for (const error of errors) expect(error).toMatchObject(UNAVAILABLE);
      expect(String(errors[0])).toContain(`no answer within ${timeoutMs} ms`);
    } finally {
      server.thaw();
    }
    await recovers(store, 3);
    expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3).checkpoint);
    expect(pool.totalCount, "connections of the pool").toBe(1);
  });
});

describe("the wire", () => {
  test("is half-open: the call ends in time, and its connection is not used again", async () => {
    const server = inject("postgres");
    await using proxy = await startProxy(server);
    const { store, pool } = await open(server, { timeoutMs, port: proxy.port });
    await recovers(store, 1);
    proxy.blackhole();
    expect(await failure(store.setCheckpoint(SCOPE, at(2)))).toMatchObject(UNAVAILABLE);
    expect(pool.totalCount, "connections of the pool").toBe(0);
    expect(await failure(store.getCheckpoint(SCOPE, SHARD)), "a new one").toMatchObject(
      UNAVAILABLE,
    );
    await proxy.restore();
    await recovers(store, 3);
  });

  test("is cut in the middle of a call, on a pool without a listener: passing", async () => {
    const server = inject("postgres");
    await using proxy = await startProxy(server);
    const opened = await open(server, { port: proxy.port });
    const { store, pool, admin, schema } = opened;
    await store.setCheckpoint(SCOPE, at(1));
    pool.removeAllListeners("error");
    const locker = await admin.connect();
    await locker.query(`BEGIN; LOCK TABLE ${schema}.kinesis_consumer`);
    const call = failure(store.setCheckpoint(SCOPE, at(2)));
    await untilWaiting(opened, 1);
    await proxy.cut();
    expect(await call).toMatchObject(UNAVAILABLE);
    await locker.query("ROLLBACK");
    locker.release();
    await proxy.restore();
    await recovers(store, 3);
  });
});

test("a dispose does not wait for a connect that hangs, and leaves no socket behind", async () => {
  const server = await startSilent();
  const connection = { host: "127.0.0.1", port: server.port, user: "billing", database: "billing" };
  const store = new PostgresStore({ connection, timeoutMs: 600_000 });
  const call = failure(store.getCheckpoints(SCOPE));
  const [socket] = await server.connected;
  const closed = once(socket, "close");
  await store[Symbol.asyncDispose]();
  expect(await call).toMatchObject(CLOSED);
  await closed;
});

/** Accepts connections and never says a word. */
async function startSilent() {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { port, connected: once(server, "connection") as Promise<[Socket]> };
}

describe("a server that ends a connection in the moment it is ready", () => {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5, type);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const ENDED = Buffer.concat([
    message("R", Buffer.alloc(4)), // no password is asked for
    message("Z", Buffer.from("I")), // ready
    message("E", Buffer.from("SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0")),
  ]);

  test.each(["connection", "pool"] as const)("ends no process, by a %s", async (form) => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(ENDED));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const connection = { host: "127.0.0.1", port, user: "postgres", database: "postgres" };
    const pool = new pg.Pool(connection);
    onTestFinished(() => pool.end());
    pool.on("error", () => undefined);
    const store = new PostgresStore(form === "pool" ? { pool } : { connection });
    onTestFinished(() => store[Symbol.asyncDispose]());
    expect(await failure(store.getCheckpoints(SCOPE))).toMatchObject(UNAVAILABLE);
  });
});
