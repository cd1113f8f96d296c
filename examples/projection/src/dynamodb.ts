import {
  CreateTableCommand,
  DynamoDBClient,
  paginateScan,
  ResourceInUseException,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { Consumer } from "@kc/core";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { totalsOf, type Balance } from "./balances.ts";
import type { BalancesTable } from "./table.ts";

const TableName = "balances";

export async function openDynamodb(): Promise<BalancesTable> {
  const client = new DynamoDBClient();
  const store = new DynamoDBStore({ client, table: "kinesis-checkpoints" });
  await store.setup();
  await createTable(client);
  return {
    // Writes one item for each account of a batch; `maxRecords` keeps them within the 97 items of a
    // transaction.
    project: (reading, batches) =>
      new Consumer({ ...reading, store }).scanTransaction((records, { tx }) => {
        for (const [account, { orders, cents }] of totalsOf(records)) {
          tx.write({
            Update: {
              TableName,
              Key: { account: { S: account } },
              UpdateExpression: "ADD orders :orders, cents :cents",
              ExpressionAttributeValues: {
                ":orders": { N: String(orders) },
                ":cents": { N: String(cents) },
              },
            },
          });
        }
      }, batches),
    read: async () => {
      const balances = new Map<string, Balance>();
      for await (const { Items = [] } of paginateScan(
        { client },
        { TableName, ConsistentRead: true },
      )) {
        for (const { account, orders, cents } of Items) {
          balances.set(account!.S!, { orders: Number(orders!.N), cents: Number(cents!.N) });
        }
      }
      return balances;
    },
    close: async () => {
      await store.close();
      client.destroy();
    },
  };
}

async function createTable(client: DynamoDBClient): Promise<void> {
  try {
    await client.send(
      new CreateTableCommand({
        TableName,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [{ AttributeName: "account", AttributeType: "S" }],
        KeySchema: [{ AttributeName: "account", KeyType: "HASH" }],
      }),
    );
  } catch (error) {
    // Another process has created it.
    if (!(error instanceof ResourceInUseException)) throw error;
  }
  await waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName });
}
