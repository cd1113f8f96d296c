import { ListTablesCommand } from "@aws-sdk/client-dynamodb";
import type { FrozenClientHarness, LeaseStoreHarness, ServerAddress } from "@kc/conformance";
import { startProxy } from "@kc-internal/test-services";
import { inject } from "vitest";
import { DynamoDBStore } from "../../src/index.ts";
import { numberReader } from "./number-reader.ts";
import { connect, newTableName, Table } from "./table.ts";

/** Against hangs alone: a busy machine may stand still for seconds. */
const timeoutMs = 30_000;

/** A table of its own, which every handle reaches through a client of its own and one proxy. */
export async function dynamodbHarness(): Promise<LeaseStoreHarness> {
  const proxy = await startProxy(inject("dynamodb"));
  const admin = connect();
  const table = new Table(admin, newTableName());
  const closers: (() => unknown)[] = [];

  const borrow = (): DynamoDBStore => {
    const client = connect(proxy);
    const store = new DynamoDBStore({ client, table: table.name, timeoutMs });
    closers.push(() => store[Symbol.asyncDispose]());
    closers.push(() => client.destroy());
    return store;
  };

  await borrow().setup();
  return {
    joinsNames: true,
    open: async () => borrow(),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    grantLease: ({ application, streamName }, shardId, fence) =>
      table.claim(`${application}-${streamName}`, shardId, fence),
    byNumber: numberReader(table),
    async openOnBorrowedClient() {
      const client = connect(proxy);
      closers.push(() => client.destroy());
      return {
        store: new DynamoDBStore({ client, table: table.name, timeoutMs }),
        clientWorks: async () =>
          (await client.send(new ListTablesCommand())).TableNames !== undefined,
      };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      await proxy.close();
      await table.drop();
      admin.destroy();
    },
  };
}

/** No table at first. */
export async function frozenClientHarness(): Promise<FrozenClientHarness> {
  const server = inject("dynamodb");
  const table = newTableName();
  const closers: (() => unknown)[] = [];
  const openAt = async ([address]: readonly ServerAddress[]): Promise<DynamoDBStore> => {
    const client = connect(address);
    const store = new DynamoDBStore({ client, table, timeoutMs });
    closers.push(
      () => store[Symbol.asyncDispose](),
      () => client.destroy(),
    );
    return store;
  };
  return {
    servers: [server],
    open: () => openAt([server]),
    openAt,
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}
