import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect as connectTo, createServer, type AddressInfo, type Socket } from "node:net";
import { startProxy, type Address } from "@kc-internal/test-services";
import { expect, inject, it, onTestFinished } from "vitest";
import { RedisStore } from "../src/index.ts";
import { connect, expectFailure, openStore, ownScope } from "./support/redis.ts";

const worker = (workerId: string) => ({
  workerId,
  incarnation: "i",
  weight: 1,
  maxShards: undefined,
});

it("a watch whose connection breaks reconnects, and reports that something may be missed", async () => {
  const proxy = await startProxy(inject("redis"));
  onTestFinished(() => proxy.close());
  const scope = ownScope();
  const watching = openStore({ connection: `redis://${proxy.host}:${proxy.port}` });
  const direct = openStore({ connection: inject("redis").url });
  let hints = 0;
  const stop = new AbortController();
  const watched = watching.watch(scope, () => (hints += 1), stop.signal);
  await expect.poll(() => hints).toBeGreaterThan(0);
  await proxy.cut();
  await direct.joinWorker(scope, worker("unheard"));
  hints = 0;
  await proxy.restore();
  await expect.poll(() => hints).toBeGreaterThan(0);
  // Subscribed again or not yet: somebody joins until it is heard.
  hints = 0;
  for (let n = 1; hints === 0; n += 1) {
    await direct.joinWorker(scope, worker(`heard-${n}`));
    await direct.heartbeat(scope, worker(`heard-${n}`));
  }
  stop.abort();
  await watched;
});

it("a watch ends with the store, and one of a closed store is refused", async () => {
  const store = new RedisStore({ connection: inject("redis").url });
  const watched = store.watch(ownScope(), () => undefined, new AbortController().signal);
  await store[Symbol.asyncDispose]();
  await watched;
  await expect(
    store.watch(ownScope(), () => undefined, new AbortController().signal),
  ).rejects.toMatchObject({ code: "STORE_CLOSED" });
});

/** A wire whose first connections can be silenced for ever, as by a machine that is gone. New ones work. */
async function startWire({ host, port }: Address) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const onward = connectTo({ host, port });
    for (const each of [socket, onward]) each.on("error", () => undefined);
    socket.pipe(onward).pipe(socket);
    sockets.push(socket, onward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    silence(): void {
      for (const socket of sockets) socket.unpipe().removeAllListeners("end").resume();
    },
  };
}

it("a watch whose connection went silent notices, and hears again on another one", async () => {
  const wire = await startWire(inject("redis"));
  const scope = ownScope();
  const watching = openStore({ connection: wire.url, timeoutMs: 300 });
  const direct = openStore({ connection: inject("redis").url });
  let hints = 0;
  const stop = new AbortController();
  const watched = watching.watch(scope, () => (hints += 1), stop.signal);
  await expect.poll(() => hints).toBeGreaterThan(0);
  await direct.joinWorker(scope, worker("before"));
  await expect.poll(() => hints).toBeGreaterThan(1);
  wire.silence();
  hints = 0;
  await direct.joinWorker(scope, worker("unheard"));
  // The new connection's own hint, and then one for what is published.
  await expect.poll(() => hints).toBeGreaterThan(0);
  const before = hints;
  await direct.joinWorker(scope, worker("heard"));
  await expect.poll(() => hints).toBeGreaterThan(before);
  stop.abort();
  await watched;
});

/** A wire that holds back each SUBSCRIBE until it is let through, and can be cut. */
async function startHoldingWire({ host, port }: Address) {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  const server = createServer((socket) => {
    const onward = connectTo({ host, port });
    for (const each of [socket, onward]) sockets.add(each.on("error", () => undefined));
    socket.on("data", (chunk: Buffer) => {
      const pass = (): void => void onward.write(chunk);
      if (/subscribe/i.test(chunk.toString())) held.push(pass);
      else pass();
    });
    onward.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  const { port: own } = server.address() as AddressInfo;
  return { url: `redis://127.0.0.1:${own}`, held, cut };
}

it("a watch gives its first hint, and the one after a new connection, once it is subscribed and can miss nothing", async () => {
  const wire = await startHoldingWire(inject("redis"));
  const scope = ownScope();
  const watching = openStore({ connection: wire.url });
  const direct = openStore({ connection: inject("redis").url });
  let hints = 0;
  const stop = new AbortController();
  const watched = watching.watch(scope, () => (hints += 1), stop.signal);
  for (const [before, connection] of ["first", "second"].entries()) {
    await expect.poll(() => wire.held.length).toBe(1);
    await direct.joinWorker(scope, worker(`unheard-${connection}`));
    expect(hints, `before the ${connection} subscription`).toBe(before);
    wire.held.shift()!();
    await expect.poll(() => hints).toBe(before + 1);
    if (before === 0) wire.cut();
  }
  await direct.joinWorker(scope, worker("heard"));
  await expect.poll(() => hints).toBeGreaterThan(2);
  stop.abort();
  await watched;
});

it("a watch whose right to the channel was taken away rejects, by the name of the right", async () => {
  const admin = connect();
  const user = `kc-${randomUUID()}`;
  await admin.acl("SETUSER", user, "on", ">pass", "~*", "+@all", "allchannels");
  onTestFinished(async () => void (await admin.acl("DELUSER", user)));
  const { host, port } = inject("redis");
  const store = openStore({ connection: `redis://${user}:pass@${host}:${port}` });
  let hints = 0;
  const watched = store.watch(ownScope(), () => (hints += 1), new AbortController().signal);
  await expect.poll(() => hints).toBeGreaterThan(0);
  // The server ends the connections of subscribers that lose a channel.
  await admin.acl("SETUSER", user, "resetchannels");
  await expectFailure(watched, {
    code: "STORE_ACCESS_DENIED",
    retryable: false,
    text: "SUBSCRIBE",
  });
});

it("a store that is disposed of while its connection hangs keeps no connection", async () => {
  const closed: Promise<unknown>[] = [];
  const silent = createServer((socket) => {
    socket.resume().on("error", () => undefined);
    closed.push(once(socket, "close"));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void silent.close());
  await once(silent, "listening");
  const url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const store = new RedisStore({ connection: url, timeoutMs: 60_000 });
  const call = store.getCheckpoints(ownScope()).catch((error: unknown) => error);
  const watched = store.watch(ownScope(), () => undefined, new AbortController().signal);
  await expect.poll(() => closed.length).toBe(2);
  await store[Symbol.asyncDispose]();
  expect(await call).toMatchObject({ code: "STORE_CLOSED" });
  await Promise.all([watched, ...closed]);
});
