import {
  CreateTableCommand,
  DeleteTableCommand,
  ScanCommand,
  type DynamoDBClientConfig,
} from "@aws-sdk/client-dynamodb";
import type { ServerAddress, TransactionalStoreHarness } from "@kc/conformance";
import { startProxy } from "@kc-internal/test-services";
import { inject } from "vitest";
import { DynamoDBStore, type DynamoTransaction } from "../../src/index.ts";
import { applicationRow } from "./fixture.ts";
import { numberReader } from "./number-reader.ts";
import { connect, newTableName, Table } from "./table.ts";

/** Against hangs alone: a busy machine may stand still for seconds. */
const timeoutMs = 30_000;

/**
 * A table of its own, and one of effects, which every handle reaches through a client of its own and one
 * proxy. A handle that has opened its application writes by a condition of one item.
 */
export async function transactionalHarness(
  opens: boolean,
  config: DynamoDBClientConfig = { maxAttempts: 1 },
): Promise<TransactionalStoreHarness<DynamoTransaction>> {
  const proxy = await startProxy(inject("dynamodb"));
  const admin = connect();
  const table = new Table(admin, newTableName());
  const effects = `${table.name}-effects`;
  const letters = `${table.name}-dead-letters`;
  const made = new Set([effects]);
  const closers: (() => unknown)[] = [];
  const openAt = (address: ServerAddress): DynamoDBStore => {
    const client = connect(address, config);
    const store = new DynamoDBStore({ client, table: table.name, timeoutMs });
    closers.push(() => store[Symbol.asyncDispose]());
    closers.push(() => client.destroy());
    return store;
  };
  const open = (): DynamoDBStore => openAt(proxy);
  await open().setup();
  await admin.send(
    new CreateTableCommand({
      TableName: effects,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "name", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "name", AttributeType: "S" }],
    }),
  );
  return {
    async open() {
      const store = open();
      if (opens)
        await store.openApplication(
          { application: "billing", streamName: "orders" },
          applicationRow(),
        );
      return store;
    },
    servers: [inject("dynamodb")],
    openAt: async ([address]) => openAt(address!),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    cutAtCommit: async (when) => proxy.cutAt("TransactWriteItems", when),
    grantLease: ({ application, streamName }, shardId, fence) =>
      table.claim(`${application}-${streamName}`, shardId, fence),
    byNumber: numberReader(table),
    apply: (tx, effect) =>
      tx.write({
        Update: {
          TableName: effects,
          Key: { name: { S: effect } },
          UpdateExpression: "ADD times :one",
          ExpressionAttributeValues: { ":one": { N: "1" } },
        },
      }),
    refuse: (tx) =>
      tx.write({
        ConditionCheck: {
          TableName: effects,
          Key: { name: { S: "unknown" } },
          ConditionExpression: "attribute_exists(times)",
        },
      }),
    async effects() {
      const { Items = [] } = await admin.send(
        new ScanCommand({ TableName: effects, ConsistentRead: true }),
      );
      return Items.flatMap(({ name, times }) =>
        Array<string>(Number(times?.N)).fill(name?.S ?? ""),
      );
    },
    async letters(store) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the suite gives what `open` made
      const own = (store as DynamoDBStore).deadLetters();
      await own.setup();
      made.add(letters);
      return own;
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      await proxy.close();
      await table.drop();
      for (const TableName of made) await admin.send(new DeleteTableCommand({ TableName }));
      admin.destroy();
    },
  };
}
