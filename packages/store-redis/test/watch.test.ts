import { startProxy } from "@kc-internal/test-services";
import { expect, inject, it, onTestFinished } from "vitest";
import { RedisStore } from "../src/index.ts";
import { openStore, ownScope } from "./support/redis.ts";

const worker = (workerId: string) => ({
  workerId,
  incarnation: "i",
  weight: 1,
  maxShards: undefined,
});

it("a watch whose connection breaks goes on by itself, and says that something may be missed", async () => {
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
  await expect.poll(() => hints, { timeout: 10_000 }).toBeGreaterThan(0);
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
