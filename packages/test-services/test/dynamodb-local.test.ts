import {
  CreateTableCommand,
  DynamoDBClient,
  ListTablesCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { expect, inject, onTestFinished, test } from "vitest";
import { type DynamoDbAddress, startDynamoDbLocal } from "../src/index.ts";

function client({ endpoint }: DynamoDbAddress): DynamoDBClient {
  const made = new DynamoDBClient({
    endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    maxAttempts: 1,
  });
  onTestFinished(() => made.destroy());
  return made;
}

test("the shared DynamoDB Local returns what failed a condition, as only the real one does", async () => {
  const shared = client(inject("dynamodb"));
  const TableName = "of-this-file";
  await shared.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  const Item = { id: { S: "a" }, stands: { N: "1" } };
  await shared.send(new PutItemCommand({ TableName, Item }));
  const again = new PutItemCommand({
    TableName,
    Item: { id: { S: "a" } },
    ConditionExpression: "attribute_not_exists(id)",
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  });
  await expect(shared.send(again)).rejects.toMatchObject({
    name: "ConditionalCheckFailedException",
    Item,
  });
});

test("it answers nothing while it is frozen; killed and restarted, it serves again", async () => {
  await using server = await startDynamoDbLocal();
  const before = client(server);
  await before.send(new ListTablesCommand({}));

  server.freeze();
  const order: string[] = [];
  const answer = before.send(new ListTablesCommand({})).then(() => order.push("answered"));
  // One that ran would answer sooner than another client's first call.
  await client(inject("dynamodb")).send(new ListTablesCommand({}));
  order.push("thawed");
  server.thaw();
  await answer;
  expect(order).toEqual(["thawed", "answered"]);

  await server.kill();
  await expect(client(server).send(new ListTablesCommand({}))).rejects.toThrow("ECONNREFUSED");
  await server.restart();
  await expect(client(server).send(new ListTablesCommand({}))).resolves.toMatchObject({
    TableNames: [],
  });
});
