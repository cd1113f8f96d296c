import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import { allLetters, deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { startProxy, type Address } from "@kc-internal/test-services";
import { inject } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { connect, newTableName } from "./support/table.ts";

/** A table of its own, which every handle reaches through a client of its own and one proxy. */
async function harness(): Promise<DeadLetterHarness> {
  const proxy = await startProxy(inject("dynamodb"));
  const table = newTableName();
  const closers: (() => unknown)[] = [];
  const open = (address?: Address): DynamoDBStore => {
    const client = connect(address, { maxAttempts: 1 });
    const store = new DynamoDBStore({ client, table });
    closers.push(
      () => store.close(),
      () => client.destroy(),
    );
    return store;
  };
  const reader = open().deadLetters();
  await reader.setup();
  return {
    maxDataBytes: 345_000,
    open: async () => open(proxy).deadLetters(),
    letters: () => allLetters(reader),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      const admin = connect();
      await admin.send(new DeleteTableCommand({ TableName: `${table}-dead-letters` }));
      admin.destroy();
      await proxy.close();
    },
  };
}

deadLetterConformance("DynamoDBStore's dead letters", harness);
