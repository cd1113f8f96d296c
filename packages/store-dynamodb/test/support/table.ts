import { randomUUID } from "node:crypto";
import {
  DeleteTableCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  PutItemCommand,
  TransactWriteItemsCommand,
  type AttributeValue,
} from "@aws-sdk/client-dynamodb";
import type { Fence } from "@kc/core";
import type { Address } from "@kc-internal/test-services";
import { inject } from "vitest";

export const newTableName = (): string => `kc-${randomUUID()}`;

/** DynamoDB Local takes any credentials. */
export function connect(
  { host, port }: Address = inject("dynamodb"),
  config: DynamoDBClientConfig = {},
): DynamoDBClient {
  return new DynamoDBClient({
    endpoint: `http://${host}:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    ...config,
  });
}

export type Attributes = Record<string, AttributeValue>;

/** What a test does with a table behind the store's back. */
export class Table {
  readonly name: string;
  readonly client: DynamoDBClient;

  constructor(client: DynamoDBClient, name: string) {
    this.client = client;
    this.name = name;
  }

  async put(namespace: string, sortKey: string, attributes: Attributes): Promise<void> {
    const Item = { ...key(namespace, sortKey), ...attributes };
    await this.client.send(new PutItemCommand({ TableName: this.name, Item }));
  }

  async get(namespace: string, sortKey: string): Promise<Attributes | undefined> {
    const Key = key(namespace, sortKey);
    const { Item } = await this.client.send(
      new GetItemCommand({ TableName: this.name, Key, ConsistentRead: true }),
    );
    return Item;
  }

  /** Who holds the shard from now on, as a worker's claim will do it: see `schema.ts`. */
  async claim(namespace: string, shardId: string, { epoch, owner }: Fence): Promise<void> {
    const values = { ":epoch": { N: String(epoch) }, ":owner": { S: owner } };
    await this.client.send(
      new TransactWriteItemsCommand({
        TransactItems: [
          {
            Update: {
              TableName: this.name,
              Key: key(namespace, `kc#lease#${shardId}`),
              UpdateExpression: "SET kc_epoch = :epoch, kc_owner = :owner",
              ExpressionAttributeValues: values,
            },
          },
          {
            Update: {
              TableName: this.name,
              Key: key(namespace, shardId),
              UpdateExpression: "SET kc_writer = :writer",
              ExpressionAttributeValues: { ":writer": { S: `${epoch}:${owner}` } },
            },
          },
        ],
      }),
    );
  }

  async drop(): Promise<void> {
    await this.client.send(new DeleteTableCommand({ TableName: this.name }));
  }
}

const key = (namespace: string, sortKey: string): Attributes => ({
  namespace: { S: namespace },
  shard_id: { S: sortKey },
});
