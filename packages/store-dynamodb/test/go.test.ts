import { readFileSync } from "node:fs";
import { CreateTableCommand, GetItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { checkpointAt, SHARD_END, shardEndAt, type Checkpoint } from "@kc/core";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, at, namespace, number, scope, shardId } from "./support/fixture.ts";
import { connect, newTableName, Table } from "./support/table.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");

let table: Table;
let store: DynamoDBStore;

/** A table as the Go library's README has it made: two keys, provisioned. */
beforeEach(async () => {
  const client = connect();
  table = new Table(client, newTableName());
  await client.send(
    new CreateTableCommand({
      TableName: table.name,
      KeySchema: [
        { AttributeName: "namespace", KeyType: "HASH" },
        { AttributeName: "shard_id", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "namespace", AttributeType: "S" },
        { AttributeName: "shard_id", AttributeType: "S" },
      ],
      ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 5 },
    }),
  );
  store = new DynamoDBStore({ client, table: table.name });
  return async () => {
    await table.drop();
    client.destroy();
  };
});

/** What Go's SetCheckpoint sends in the end: a whole item, whatever stood there. */
const goWrites = (sequenceNumber: string): Promise<void> =>
  table.put(namespace, shardId, { sequence_number: { S: sequenceNumber } });

/** What Go's GetCheckpoint reads and makes of it. */
async function goReads(): Promise<string> {
  const { Item } = await table.client.send(
    new GetItemCommand({
      TableName: table.name,
      ConsistentRead: true,
      Key: { namespace: { S: namespace }, shard_id: { S: shardId } },
    }),
  );
  return Item?.["sequence_number"]?.S ?? "0";
}

const write = (checkpoint: Checkpoint, fence?: { epoch: number; owner: string }) =>
  store.setCheckpoint(scope, { shardId, checkpoint, ...(fence && { fence }) });

/** Opened or not: the two ways of a write. */
describe.each([true, false])("with the application opened: %s", (opened) => {
  beforeEach(async () => {
    if (opened) await store.openApplication(scope, applicationRow());
  });

  it("setup() finds Go's table good", async () => {
    await expect(store.setup()).resolves.toBeUndefined();
  });

  it("goes on where Go stopped, and Go where it stopped", async () => {
    await goWrites(number(5));
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(5));
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([[shardId, at(5)]]));
    expect(await write(at(7))).toStrictEqual({ outcome: "written", stored: at(7) });
    expect(await goReads()).toBe(number(7));
    await goWrites(number(9));
    expect(await write(at(8))).toStrictEqual({ outcome: "behind", stored: at(9) });
    expect(await write(at(9))).toStrictEqual({ outcome: "same", stored: at(9) });
    expect(await goReads()).toBe(number(9));
  });

  it("is not behind a number of fewer digits", async () => {
    await goWrites("9");
    expect(await write(at(1))).toStrictEqual({ outcome: "written", stored: at(1) });
    await goWrites("9");
    expect((await write({ kind: "position", sequenceNumber: "10" })).outcome).toBe("written");
  });

  it("believes no shard end that Go has written over", async () => {
    await write(at(5));
    await write(SHARD_END);
    expect(await goReads()).toBe(number(5));
    await goWrites(number(5));
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(5));
    expect(await write(at(6))).toStrictEqual({ outcome: "written", stored: at(6) });
  });

  it("believes no sub-sequence number that Go has written over", async () => {
    const inside: Checkpoint = {
      kind: "position",
      sequenceNumber: number(5),
      subSequenceNumber: 3,
    };
    await write(at(4));
    await write({ ...inside, wholeSequenceNumber: number(4) });
    expect(await goReads(), "it repeats the aggregate").toBe(number(4));
    await goWrites(number(5));
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(5));
    expect(await write(inside)).toStrictEqual({ outcome: "behind", stored: at(5) });
  });

  it("writes 0 for the end of a shard without a number, as Go reads it", async () => {
    await write(SHARD_END);
    expect((await table.get(namespace, shardId))?.["sequence_number"]).toStrictEqual({ S: "0" });
    expect(await goReads()).toBe("0");
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(SHARD_END);
  });

  it("writes an end over Go's number", async () => {
    await goWrites(number(5));
    expect(await write(SHARD_END)).toStrictEqual({ outcome: "written", stored: SHARD_END });
    expect(await goReads()).toBe(number(5));
    expect(await write(SHARD_END)).toStrictEqual({
      outcome: "same",
      stored: shardEndAt(number(5)),
    });
  });

  it("writes the number of a shard's last record with its end, flushed or not", async () => {
    await write(at(5));
    const end = shardEndAt(number(9));
    expect(await write(end)).toStrictEqual({ outcome: "written", stored: end });
    expect(await goReads()).toBe(number(9));
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(end);
    await store.resetCheckpoint(scope, shardId, shardEndAt(number(7)));
    expect(await goReads()).toBe(number(7));
  });

  it("believes nothing that stands beside another number", async () => {
    await write(SHARD_END);
    const item = await table.get(namespace, shardId);
    const { namespace: _, shard_id: __, ...attributes } = item ?? {};
    await table.put(namespace, shardId, { ...attributes, sequence_number: { S: number(3) } });
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(3));
    expect(await write(at(4))).toStrictEqual({ outcome: "written", stored: at(4) });
  });

  it("is set back by hand: the README's expression ends all that counts beside the number", async () => {
    const [, UpdateExpression] =
      /`(SET sequence_number = :number REMOVE [^`]*)`/.exec(README) ?? [];
    const inside = { sequenceNumber: number(6), subSequenceNumber: 3 };
    for (const checkpoint of [
      checkpointAt({ sequenceNumber: number(5), subSequenceNumber: 3 }),
      checkpointAt({ ...inside, wholeSequenceNumber: number(5) }),
      shardEndAt(number(5)),
      checkpointAt({ sequenceNumber: number(5) }, "a"),
    ]) {
      await store.resetCheckpoint(scope, shardId, undefined);
      await write(checkpoint);
      await table.client.send(
        new UpdateItemCommand({
          TableName: table.name,
          Key: { namespace: { S: namespace }, shard_id: { S: shardId } },
          UpdateExpression,
          ExpressionAttributeValues: { ":number": { S: number(5) } },
        }),
      );
      expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(5));
      const part = checkpointAt({ sequenceNumber: number(5), subSequenceNumber: 9 });
      expect(await write(part), "a part of that record").toMatchObject({ outcome: "behind" });
    }
  });

  it("keeps the lease when Go wipes a held shard: its owner alone writes", async () => {
    const fence = { epoch: 3, owner: "worker-a#1" };
    await table.claim(namespace, shardId, fence);
    await write(at(5), fence);
    for (const lost of [undefined, { epoch: 2, owner: fence.owner }, { epoch: 3, owner: "b#1" }]) {
      for (const checkpoint of [at(4), at(6), at(7)]) {
        await goWrites(number(6));
        await expect(write(checkpoint, lost)).rejects.toMatchObject({ code: "LEASE_LOST" });
      }
    }
    expect(await write(at(7), fence)).toStrictEqual({ outcome: "written", stored: at(7) });
    await expect(write(at(8))).rejects.toMatchObject({ code: "LEASE_LOST" });
  });

  it("resets what Go wrote", async () => {
    await goWrites(number(5));
    await store.resetCheckpoint(scope, shardId, at(2));
    expect(await goReads()).toBe(number(2));
    await store.resetCheckpoint(scope, shardId, undefined);
    expect(await goReads()).toBe("0");
    expect(await store.getCheckpoint(scope, shardId)).toBeUndefined();
  });
});

describe("beside Go's items", () => {
  it("its own stand under sort keys that Go never reads", async () => {
    await store.openApplication(scope, applicationRow({ migrated: true }));
    await table.claim(namespace, shardId, { epoch: 1, owner: "a#1" });
    expect(await goReads()).toBe("0");
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
    expect(await table.get(namespace, "kc#application")).toMatchObject({
      kc_application: { S: "billing" },
      kc_migrated: { BOOL: true },
    });
  });

  it("a value that is no checkpoint names the shard to reset, and a reset fixes it", async () => {
    await goWrites("SHARD_END");
    const corrupt = { code: "STORE_CORRUPT", retryable: false };
    await expect(store.getCheckpoint(scope, shardId)).rejects.toMatchObject(corrupt);
    await expect(store.getCheckpoints(scope)).rejects.toMatchObject(corrupt);
    await expect(write(at(1))).rejects.toMatchObject(corrupt);
    await store.resetCheckpoint(scope, shardId, SHARD_END);
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(SHARD_END);
  });

  it("a table of other keys is refused by every call that names an item, with what to deploy", async () => {
    const client = connect();
    const shapes = [
      { keys: ["namespace"], type: "S" },
      { keys: ["namespace", "shard_id"], type: "N" },
      { keys: ["pk", "sk"], type: "S" },
    ] as const;
    for (const { keys, type } of shapes) {
      const other = new Table(client, newTableName());
      onTestFinished(() => other.drop());
      await client.send(
        new CreateTableCommand({
          TableName: other.name,
          BillingMode: "PAY_PER_REQUEST",
          KeySchema: keys.map((AttributeName, index) => ({
            AttributeName,
            KeyType: index === 0 ? "HASH" : "RANGE",
          })),
          AttributeDefinitions: keys.map((AttributeName) => ({
            AttributeName,
            AttributeType: type,
          })),
        }),
      );
      const wrong = new DynamoDBStore({ client, table: other.name });
      const calls = [
        () => wrong.setup(),
        () => wrong.getCheckpoint(scope, shardId),
        () => wrong.setCheckpoint(scope, { shardId, checkpoint: at(1) }),
        () => wrong.resetCheckpoint(scope, shardId, at(1)),
      ];
      for (const [index, call] of calls.entries()) {
        await expect(call(), `${keys.join()} of ${type}, call ${index}`).rejects.toMatchObject({
          code: "STORE_SCHEMA",
          retryable: false,
          message: expect.stringContaining("KeyType: RANGE"),
        });
      }
    }
    onTestFinished(() => client.destroy());
  });
});
