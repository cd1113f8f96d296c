import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { checkpointAt, type ApplicationRow, type Checkpoint, type StoreScope } from "@kc/core";
import { onTestFinished } from "vitest";
import { DynamoDBStore } from "../../src/index.ts";
import { connect, newTableName, Table } from "./table.ts";

export const scope: StoreScope = { application: "billing", streamName: "orders" };
export const namespace = "billing-orders";
export const shardId = "shardId-000000000000";

const FIRST = 49590338271490256608559692538361571095921575989136588898n;
export const number = (n: number): string => String(FIRST + BigInt(n));
export const at = (n: number): Checkpoint => checkpointAt({ sequenceNumber: number(n) });

export const applicationRow = (own: Partial<ApplicationRow> = {}): ApplicationRow => ({
  ...scope,
  streamARN: "arn:aws:kinesis:eu-west-1:123456789012:stream/orders",
  start: "LATEST",
  startedAt: new Date(1_800_000_000_000),
  migrated: false,
  ...own,
});

/** A table of the test's own, made by `setup()`, and gone with the test. */
export async function openTable(
  client: DynamoDBClient = connect(),
): Promise<{ readonly table: Table; readonly store: DynamoDBStore }> {
  const table = new Table(client, newTableName());
  const store = new DynamoDBStore({ client, table: table.name });
  await store.setup();
  onTestFinished(async () => {
    await table.drop();
    client.destroy();
  });
  return { table, store };
}
