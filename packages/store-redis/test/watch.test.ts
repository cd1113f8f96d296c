import { once } from "node:events";
import { connect as connectTo, createServer, type AddressInfo, type Socket } from "node:net";
import { startProxy, type Address } from "@kc-internal/test-services";
import { expect, inject, it, onTestFinished } from "vitest";
import { RedisStore } from "../src/index.ts";
import { openStore, ownScope } from "./support/redis.ts";

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
