import { allLetters, deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import type { DeadLetterQueue } from "@kc/core";
import { startProxy } from "@kc-internal/test-services";
import { inject } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { testDatabase } from "./support/database.ts";

/** A schema of its own, which every handle reaches by a store of its own and one proxy. */
async function harness(): Promise<DeadLetterHarness> {
  const { schema, connectionString, ...own } = await testDatabase();
  const { host, port, user, password, database } = inject("postgres");
  const proxy = await startProxy({ host, port });
  const stores: PostgresStore[] = [];
  const open = (connection: PostgresStoreConnection): PostgresStore => {
    const store = new PostgresStore({ connection, schema, timeoutMs: 60_000 });
    stores.push(store);
    return store;
  };
  const reader = open(connectionString).deadLetters();
  await reader.setup();
  return {
    open: async (): Promise<DeadLetterQueue> =>
      open({ host: proxy.host, port: proxy.port, user, password, database }).deadLetters(),
    letters: () => allLetters(reader),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store.close();
      await proxy.close();
      await own[Symbol.asyncDispose]();
    },
  };
}

type PostgresStoreConnection = NonNullable<
  ConstructorParameters<typeof PostgresStore>[0]["connection"]
>;

deadLetterConformance("PostgresStore's dead letters", harness);
