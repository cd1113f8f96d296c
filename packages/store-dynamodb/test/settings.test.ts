import { readFileSync } from "node:fs";
import {
  CreateTableCommand,
  DynamoDBClient,
  UpdateTimeToLiveCommand,
  type AttributeDefinition,
  type CreateTableCommandInput,
  type DynamoDBClientConfig,
} from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { leaseStoreRound } from "@kc/conformance";
import { describe, expect, it, onTestFinished } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, openTable, scope } from "./support/fixture.ts";
import { connect, newTableName, Table } from "./support/table.ts";

/** What the owner of a client may have set. */
const CLIENTS: Readonly<Record<string, DynamoDBClientConfig>> = {
  "maxAttempts: 1": { maxAttempts: 1 },
  'retryMode: "adaptive"': { retryMode: "adaptive" },
  "requestHandler with time-outs": {
    requestHandler: { requestTimeout: 30_000, connectionTimeout: 30_000 },
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
  "a secondary index": {
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [text("namespace"), text("shard_id"), text("kc_owner")],
    GlobalSecondaryIndexes: [
      {
        IndexName: "owners",
        KeySchema: [{ AttributeName: "kc_owner", KeyType: "HASH" }],
        Projection: { ProjectionType: "ALL" },
      },
    ],
  },
};

/** Keys of other names, of another number, of another type. */
const OTHER_KEYS: readonly (readonly [string, readonly AttributeDefinition[]])[] = [
  ["keys of other names", [text("pk"), text("sk")]],
  ["no sort key", [text("namespace")]],
  ["another sort key", [text("namespace"), text("sk")]],
  ["a sort key that is a number", [text("namespace"), { ...text("shard_id"), AttributeType: "N" }]],
];

function text(AttributeName: string): AttributeDefinition {
  return { AttributeName, AttributeType: "S" };
}

async function createTable(
  keys: readonly AttributeDefinition[],
  options: Partial<CreateTableCommandInput> = { BillingMode: "PAY_PER_REQUEST" },
): Promise<DynamoDBStore> {
  const client = connect();
  const name = newTableName();
  await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: keys.map(({ AttributeName }, index) => ({
        AttributeName,
        KeyType: index === 0 ? "HASH" : "RANGE",
      })),
      AttributeDefinitions: [...keys],
      ...options,
    }),
  );
  onTestFinished(() => new Table(client, name).drop());
  return new DynamoDBStore({ client, table: name });
}

describe("a client with", () => {
  it.each(Object.entries(CLIENTS))("%s works", async (_name, config) => {
    const client = connect(undefined, config);
    const { store } = await openTable(client);
    await leaseStoreRound(store);
  });

  it.each([
    ["the defaults", {}],
    [
      "removeUndefinedValues",
      {
        marshallOptions: { removeUndefinedValues: true, convertEmptyValues: true },
        unmarshallOptions: { wrapNumbers: true },
      },
    ],
  ])("the documents of lib-dynamodb works, with %s", async (_name, options) => {
    const { table } = await openTable();
    const client = DynamoDBDocumentClient.from(table.client, options);
    await leaseStoreRound(new DynamoDBStore({ client, table: table.name }));
  });

  it("another Region than that of the table's ARN is refused by name", async () => {
    const client = connect(undefined, { region: "eu-west-1" });
    const table = "arn:aws:dynamodb:us-east-1:123456789012:table/checkpoints";
    const call = new DynamoDBStore({ client, table }).getCheckpoints(scope);
    await expect(call).rejects.toMatchObject({
      name: "ConfigError",
      option: "table",
      message: expect.stringMatching(/us-east-1 .* eu-west-1/),
    });
  });

  it("another Region than that of the table finds none, and names the Region and the endpoint", async () => {
    const client = connect(undefined, { region: "eu-west-1" });
    const { protocol, hostname, port } = await client.config.endpoint!();
    const endpoint = `${protocol}//${hostname}:${port}`;
    const call = new DynamoDBStore({ client, table: "of-us-east-1" }).getCheckpoints(scope);
    await expect(call).rejects.toMatchObject({
      code: "STORE_SCHEMA",
      message: expect.stringContaining(
        `of-us-east-1 in eu-west-1 at ${endpoint}: the table is missing`,
      ),
    });
  });

  it("nothing but `send` works, so a wrapper does", async () => {
    const { table } = await openTable();
    const client = { send: DynamoDBClient.prototype.send.bind(table.client) };
    await leaseStoreRound(new DynamoDBStore({ client, table: table.name }));
  });
});

describe("a table with", () => {
  it.each(Object.entries(TABLES))("%s works", async (_name, options) => {
    const store = await createTable([text("namespace"), text("shard_id")], options);
    await store.setup();
    await leaseStoreRound(store);
  });

  it.each(OTHER_KEYS)("%s is refused by the first call", async (_name, keys) => {
    const store = await createTable(keys);
    const refused = {
      code: "STORE_SCHEMA",
      retryable: false,
      message: expect.stringContaining("the table has other keys"),
    };
    await expect(store.openApplication(scope, applicationRow())).rejects.toMatchObject(refused);
    const worker = { workerId: "a", incarnation: "1", weight: 1, maxShards: undefined };
    await expect(store.joinWorker(scope, worker)).rejects.toMatchObject(refused);
  });

  it.each(["expires", "kc_counter", "kc_epoch", "kc_revision"])(
    "a time to live by %s works: no item of ours expires",
    async (AttributeName) => {
      const { table, store } = await openTable();
      const TimeToLiveSpecification = { Enabled: true, AttributeName };
      await table.client.send(
        new UpdateTimeToLiveCommand({ TableName: table.name, TimeToLiveSpecification }),
      );
      await leaseStoreRound(store);
    },
  );
});

it("the README says what becomes of each setting", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const section = readme.split("## Settings")[1]!.split("\n## ")[0]!;
  for (const name of ["maxAttempts", "retryMode", "requestHandler", ...Object.keys(TABLES)]) {
    expect(section).toContain(name);
  }
  const others = [
    "time to live",
    "DynamoDBDocumentClient",
    "removeUndefinedValues",
    "Region",
    "keys",
  ];
  for (const name of others) expect(section).toContain(name);
});
