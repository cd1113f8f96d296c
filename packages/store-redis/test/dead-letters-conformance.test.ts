import { randomUUID } from "node:crypto";
import { deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import type { DeadLetter } from "@kc/core";
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
    async letters() {
      const letters: DeadLetter[] = [];
      for (let after: string | undefined = ""; after !== undefined;) {
        const page = await reader.list({ limit: 1000, after });
        letters.push(...page.letters);
        after = page.next;
      }
      return letters;
    },
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
