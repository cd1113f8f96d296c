import {
  CreateTableCommand,
  DescribeTableCommand,
  type DescribeTableCommandOutput,
} from "@aws-sdk/client-dynamodb";
import { beforeEach, describe, expect, it } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { at, scope, shardId } from "./support/fixture.ts";
import { SpyClient } from "./support/spy.ts";
import { connect, newTableName, Table } from "./support/table.ts";

const write = { shardId, checkpoint: at(1) };

let table: Table;
let spy: SpyClient;
let store: DynamoDBStore;

beforeEach(() => {
  const client = connect();
  table = new Table(client, newTableName());
  spy = new SpyClient(client);
  store = new DynamoDBStore({ client: spy, table: table.name });
  return async () => {
    await table.drop();
    client.destroy();
  };
});

const named = (name: string): Error => Object.assign(new Error("planted"), { name });

describe("setup()", () => {
  it("makes a table on demand with Go's keys, and only once", async () => {
    await store.setup();
    expect(spy.take()).toStrictEqual(["DescribeTable", "CreateTable", "DescribeTable"]);
    await store.setup();
    expect(spy.take()).toStrictEqual(["DescribeTable"]);
    const { Table: made } = await table.client.send(
      new DescribeTableCommand({ TableName: table.name }),
    );
    expect(made).toMatchObject({
      BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" },
      KeySchema: [
        { AttributeName: "namespace", KeyType: "HASH" },
        { AttributeName: "shard_id", KeyType: "RANGE" },
      ],
    });
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("by several processes at once makes one table", async () => {
    const stores = Array.from({ length: 8 }, () => {
      return new DynamoDBStore({ client: spy, table: table.name });
    });
    // Each has found no table before the first one creates it.
    let missed = 0;
    const allMissed = new Promise<void>((resolve) => {
      spy.before = (name) => {
        if (name !== "CreateTable") return undefined;
        if ((missed += 1) === stores.length) resolve();
        return allMissed;
      };
    });
    await Promise.all(stores.map((each) => each.setup()));
    expect(spy.take().filter((name) => name === "CreateTable")).toHaveLength(stores.length);
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("waits until the table can be used", async () => {
    let left = 3;
    spy.after = (_, output) => {
      const { Table: described } = output as Partial<DescribeTableCommandOutput>;
      if (described !== undefined && left-- > 0) described.TableStatus = "CREATING";
    };
    await store.setup();
    expect(spy.take()).toStrictEqual([
      "DescribeTable",
      "CreateTable",
      ...Array<string>(4).fill("DescribeTable"),
    ]);
  });

  it("creates a table again that was being deleted", async () => {
    await store.setup();
    spy.take();
    let left = 1;
    spy.after = async (_, output) => {
      const { Table: described } = output as Partial<DescribeTableCommandOutput>;
      if (described === undefined || left-- <= 0) return;
      described.TableStatus = "DELETING";
      await table.drop();
    };
    await store.setup();
    expect(spy.take()).toContain("CreateTable");
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("needs no right to create a table that is there", async () => {
    await store.setup();
    spy.before = (name) => {
      if (name === "CreateTable") throw named("AccessDeniedException");
    };
    await expect(store.setup()).resolves.toBeUndefined();
  });

  it("without the right to create says so, and then a table that others made will do", async () => {
    spy.before = (name) => {
      if (name === "CreateTable" || name === "DescribeTable") throw named("AccessDeniedException");
    };
    await expect(store.setup()).rejects.toMatchObject({ code: "STORE_ACCESS_DENIED" });
    await expect(store.setCheckpoint(scope, write)).rejects.toMatchObject({ code: "STORE_SCHEMA" });
    await new DynamoDBStore({ client: table.client, table: table.name }).setup();
    expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  });

  it("is left by an abort while it waits", async () => {
    const controller = new AbortController();
    const reason = new Error("no more patience");
    spy.after = (_, output) => {
      const { Table: described } = output as Partial<DescribeTableCommandOutput>;
      if (described === undefined) return;
      described.TableStatus = "CREATING";
      setImmediate(() => controller.abort(reason));
    };
    await expect(store.setup({ signal: controller.signal })).rejects.toBe(reason);
  });

  it("refuses a table of other keys, and names them", async () => {
    await table.client.send(
      new CreateTableCommand({
        TableName: table.name,
        BillingMode: "PAY_PER_REQUEST",
        KeySchema: [
          { AttributeName: "namespace", KeyType: "HASH" },
          { AttributeName: "shard_id", KeyType: "RANGE" },
        ],
        AttributeDefinitions: [
          { AttributeName: "namespace", AttributeType: "S" },
          { AttributeName: "shard_id", AttributeType: "N" },
        ],
      }),
    );
    await expect(store.setup()).rejects.toMatchObject({
      code: "STORE_SCHEMA",
      retryable: false,
      message: expect.stringMatching(
        /its keys are namespace \(HASH, S\), shard_id \(RANGE, N\), and namespace \(HASH, S\), shard_id \(RANGE, S\) are/,
      ),
    });
  });
});
