import { randomUUID } from "node:crypto";
import { allLetters, deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { startProxy } from "@kc-internal/test-services";
import { inject } from "vitest";
import { RedisStore } from "../src/index.ts";

/** Keys of its own, which every handle reaches by a store of its own and one proxy. */
async function harness(): Promise<DeadLetterHarness> {
  const proxy = await startProxy(inject("redis"));
  const keyPrefix = `${randomUUID()}:`;
  const stores: RedisStore[] = [];
  const open = (connection: string): RedisStore => {
    const store = new RedisStore({ connection, keyPrefix });
    stores.push(store);
    return store;
  };
  const reader = open(inject("redis").url).deadLetters();
  await reader.setup();
  return {
    open: async () => open(`redis://${proxy.host}:${proxy.port}`).deadLetters(),
    letters: () => allLetters(reader),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async [Symbol.asyncDispose]() {
      const ids = (await reader.list({ limit: 1000 })).letters.map(({ id }) => id);
      await reader.remove(ids);
      for (const store of stores) await store.close();
      await proxy.close();
    },
  };
}

deadLetterConformance("RedisStore's dead letters", harness);
