import { readFileSync } from "node:fs";
import {
  CreateTableCommand,
  DynamoDBClient,
  UpdateTimeToLiveCommand,
  type CreateTableCommandInput,
  type DynamoDBClientConfig,
} from "@aws-sdk/client-dynamodb";
import { leaseStoreRound } from "@kc/conformance";
import { describe, expect, it, onTestFinished } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { openTable } from "./support/fixture.ts";
import { connect, newTableName, Table } from "./support/table.ts";

/** What the owner of a client may have set. */
const CLIENTS: Readonly<Record<string, DynamoDBClientConfig>> = {
  "maxAttempts: 1": { maxAttempts: 1 },
  'retryMode: "adaptive"': { retryMode: "adaptive" },
  "requestHandler with time-outs": {
    requestHandler: { requestTimeout: 3000, connectionTimeout: 500 },
  },
  "useDualstackEndpoint: false": { useDualstackEndpoint: false },
};

/** What a table may have been made with. */
const TABLES: Readonly<Record<string, Partial<CreateTableCommandInput>>> = {
  "provisioned capacity": {
    BillingMode: "PROVISIONED",
    ProvisionedThroughput: { ReadCapacityUnits: 100, WriteCapacityUnits: 100 },
  },
  "capacity on demand": { BillingMode: "PAY_PER_REQUEST" },
  "a stream": {
    BillingMode: "PAY_PER_REQUEST",
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
  },
};

describe("a client with", () => {
  it.each(Object.entries(CLIENTS))("%s works", async (_name, config) => {
    const client = connect(undefined, config);
    const { store } = await openTable(client);
    await leaseStoreRound(store);
  });

  it("nothing but `send` works, so a wrapper or a DocumentClient does", async () => {
    const { table } = await openTable();
    const client = { send: DynamoDBClient.prototype.send.bind(table.client) };
    await leaseStoreRound(new DynamoDBStore({ client, table: table.name }));
  });
});

describe("a table with", () => {
  it.each(Object.entries(TABLES))("%s works", async (_name, options) => {
    const client = connect();
    const name = newTableName();
    const key = (AttributeName: string, KeyType: "HASH" | "RANGE") => ({ AttributeName, KeyType });
    await client.send(
      new CreateTableCommand({
        TableName: name,
        KeySchema: [key("namespace", "HASH"), key("shard_id", "RANGE")],
        AttributeDefinitions: ["namespace", "shard_id"].map((AttributeName) => ({
          AttributeName,
          AttributeType: "S",
        })),
        ...options,
      }),
    );
    onTestFinished(() => new Table(client, name).drop());
    const store = new DynamoDBStore({ client, table: name });
    await store.setup();
    await leaseStoreRound(store);
  });

  it("a time to live works: no item of ours has one", async () => {
    const { table, store } = await openTable();
    const TimeToLiveSpecification = { Enabled: true, AttributeName: "expires" };
    await table.client.send(
      new UpdateTimeToLiveCommand({ TableName: table.name, TimeToLiveSpecification }),
    );
    await leaseStoreRound(store);
  });
});

it("the README says what becomes of each setting", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const section = readme.split("## Settings")[1]!.split("\n## ")[0]!;
  for (const name of ["maxAttempts", "retryMode", "requestHandler", ...Object.keys(TABLES)]) {
    expect(section).toContain(name);
  }
  expect(section).toContain("time to live");
});
