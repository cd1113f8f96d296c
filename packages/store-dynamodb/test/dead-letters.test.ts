import { DeleteTableCommand, DescribeTableCommand } from "@aws-sdk/client-dynamodb";
import { letterAt, sendLetters } from "@kc/conformance";
import { expect, onTestFinished, test } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { at, number, openTable, scope, shardId } from "./support/fixture.ts";
import { connect, newTableName } from "./support/table.ts";

const LETTER = letterAt(0);
const send = (store: DynamoDBStore): Promise<void> => sendLetters(store.deadLetters(), [LETTER]);

test("without their table dead letters are refused with its definition; its keys are checked by setup", async () => {
  const client = connect();
  const table = newTableName();
  const store = new DynamoDBStore({ client, table });
  onTestFinished(async () => {
    await client.send(new DeleteTableCommand({ TableName: `${table}-dead-letters` }));
    client.destroy();
  });
  const missing = {
    code: "STORE_SCHEMA",
    message: expect.stringContaining(`TableName: ${table}-dead-letters`),
  };
  await expect(send(store)).rejects.toMatchObject(missing);
  await expect(store.deadLetters().list()).rejects.toMatchObject(missing);
  await store.deadLetters().setup();
  await store.deadLetters().setup();
  await send(store);
  expect(await store.deadLetters().get(LETTER.id)).toStrictEqual(LETTER);
  const { Table } = await client.send(
    new DescribeTableCommand({ TableName: `${table}-dead-letters` }),
  );
  expect(Table?.BillingModeSummary?.BillingMode).toBe("PAY_PER_REQUEST");
  const letters = new DynamoDBStore({ client, table: `${table}-dead-letters` });
  await expect(letters.setup()).rejects.toMatchObject({ code: "STORE_SCHEMA" });
});

test.each([
  ["ninety-eight letters", 98, 10],
  ["letters of more than four megabytes", 13, 345_000],
])("%s, which no transaction holds, are put before their checkpoint", async (_, count, bytes) => {
  const { table, store } = await openTable();
  const letters = store.deadLetters();
  await letters.setup();
  onTestFinished(async () => {
    await table.client.send(new DeleteTableCommand({ TableName: `${table.name}-dead-letters` }));
  });
  const data = new Uint8Array(bytes);
  const all = Array.from({ length: count }, (__, n) => letterAt(n, { data }));
  const write = { shardId, from: { sequenceNumber: number(1) }, checkpoint: at(3) };
  const answer = await store.transact(scope, write, (tx) => letters.sendIn(tx, all));
  expect(answer.outcome).toBe("committed");
  expect((await letters.list({ limit: 1000 })).letters).toHaveLength(count);
  expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(3));
});

test("letters in a transaction whose table is missing are refused with its definition", async () => {
  const { store } = await openTable();
  const letters = store.deadLetters();
  const write = { shardId, from: { sequenceNumber: number(1) }, checkpoint: at(3) };
  const sending = store.transact(scope, write, (tx) => letters.sendIn(tx, [LETTER]));
  await expect(sending).rejects.toMatchObject({
    code: "STORE_SCHEMA",
    message: expect.stringContaining("AWS::DynamoDB::Table"),
  });
});

test("a table whose dead letters' name would be too long has none", () => {
  const store = new DynamoDBStore({ table: "t".repeat(243) });
  expect(() => store.deadLetters()).toThrow(/longer than a table's name can be/);
});
