import { randomUUID } from "node:crypto";
import type { FrozenClientHarness, LeaseStoreHarness, ServerAddress } from "@kc/conformance";
import { startProxy } from "@kc-internal/test-services";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { inject } from "vitest";
import { RedisStore } from "../../src/index.ts";
import { ApplicationKeys } from "../../src/keys.ts";
import { numberReader } from "./number-reader.ts";

/** Against hangs alone: a busy machine may stand still for seconds. */
const timeoutMs = 30_000;

/**
 * Keys of its own on the server that all tests share. Every handle reaches it through a proxy that
 * can be cut, with a client of its own or one that was handed in.
 */
export async function redisHarness(
  form: "connection" | "client" | "client of ioredis 5",
): Promise<LeaseStoreHarness> {
  const proxy = await startProxy(inject("redis"));
  const url = `redis://${proxy.host}:${proxy.port}`;
  const keyPrefix = `${randomUUID()}:`;
  const closers: (() => unknown)[] = [() => proxy.close()];
  const borrowed: (Redis | Redis5)[] = [];

  const borrow = (): Redis | Redis5 => {
    const client = form === "client of ioredis 5" ? new Redis5(url) : new Redis(url);
    // Told by the store's errors; ioredis would print each one.
    client.on("error", () => undefined);
    borrowed.push(client);
    closers.unshift(() => client.disconnect());
    return client;
  };
  const keep = (store: RedisStore): RedisStore => {
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  const direct = new Redis(inject("redis").url, { lazyConnect: true });
  closers.push(() => direct.disconnect());

  return {
    open: async () =>
      keep(
        new RedisStore({
          ...(form === "connection" ? { connection: url } : { client: borrow() }),
          keyPrefix,
          timeoutMs,
        }),
      ),
    async breakConnection() {
      // A client that has not noticed yet keeps what it is given, and the call ends by its time-out:
      // `failures.test.ts` proves that once.
      const noticed = borrowed
        .filter(({ status }) => status === "ready")
        .map((client) => new Promise<void>((resolve) => client.once("close", () => resolve())));
      await proxy.cut();
      await Promise.all(noticed);
    },
    restore: () => proxy.restore(),
    async grantLease(scope, shardId, { epoch, owner }) {
      const [, companion] = new ApplicationKeys(keyPrefix, scope).shard(shardId);
      await direct.hset(companion, { epoch, owner });
    },
    byNumber: numberReader(direct, keyPrefix),
    async openOnBorrowedClient() {
      const client = borrow();
      return {
        store: keep(new RedisStore({ client, keyPrefix, timeoutMs })),
        clientWorks: async () => (await client.ping()) === "PONG",
      };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}

/** Keys of its own. A client that is to stand still has a connection of the store's own. */
export async function frozenClientHarness(): Promise<FrozenClientHarness> {
  const keyPrefix = `${randomUUID()}:`;
  const server = inject("redis");
  const stores: RedisStore[] = [];
  const openAt = async ([address]: readonly ServerAddress[]): Promise<RedisStore> => {
    const { host, port } = address!;
    const store = new RedisStore({ connection: `redis://${host}:${port}`, keyPrefix, timeoutMs });
    stores.push(store);
    return store;
  };
  return {
    servers: [server],
    open: () => openAt([server]),
    openAt,
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  };
}
