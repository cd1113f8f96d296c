import {
  GetItemCommand,
  type DynamoDBClientConfig,
  type TransactWriteItem,
} from "@aws-sdk/client-dynamodb";
import type { TransactionalWrite } from "@kc/core";
import { describe, expect, onTestFinished, test } from "vitest";
import { DynamoDBStore, type DynamoTransaction } from "../src/index.ts";
import {
  applicationRow,
  at,
  namespace,
  number,
  openTable,
  scope,
  shardId,
} from "./support/fixture.ts";
import { startFaultyService } from "./support/service.ts";
import { SpyClient } from "./support/spy.ts";
import { connect, newTableName } from "./support/table.ts";

const MISUSED = { name: "StoreError", code: "TRANSACTION_MISUSED", retryable: false } as const;

function writeOf(from: number, to: number): TransactionalWrite {
  return { shardId, from: { sequenceNumber: number(from) }, checkpoint: at(to) };
}

function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );
}

/** A store behind a front, and orders that the handler keeps in the same table, each once. */
async function opened(config: DynamoDBClientConfig = { maxAttempts: 1 }) {
  const { table, store: direct } = await openTable();
  await direct.openApplication(scope, applicationRow());
  const service = await startFaultyService();
  const client = connect(service, config);
  onTestFinished(() => client.destroy());
  const spy = new SpyClient(client);
  const store = new DynamoDBStore({ client: spy, table: table.name });
  await store.openApplication(scope, applicationRow());
  spy.take();
  const order = (n: number): TransactWriteItem => ({
    Put: {
      TableName: table.name,
      Item: { namespace: { S: "orders" }, shard_id: { S: `${n}` } },
      ConditionExpression: "attribute_not_exists(shard_id)",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    },
  });
  const work =
    (...numbers: number[]) =>
    (tx: DynamoTransaction): void =>
      tx.write(...numbers.map(order));
  const isStored = async (n: number): Promise<boolean> =>
    (await table.get("orders", `${n}`)) !== undefined;
  return { table, direct, service, spy, store, order, work, isStored };
}

describe("what one transaction holds", () => {
  test("ninety-seven items are taken, of a shard and an application that are new; one more is refused", async () => {
    const { table, work, isStored, spy } = await opened();
    const store = new DynamoDBStore({ client: spy, table: table.name, namespace: "new" });
    const numbers = Array.from({ length: 98 }, (_, n) => n);
    const error = await failure(store.transact(scope, writeOf(1, 3), work(...numbers)));
    expect(error).toMatchObject({
      ...MISUSED,
      shardId,
      message: expect.stringContaining("maxRecords"),
    });
    expect(spy.take(), "nothing is sent").toStrictEqual([]);
    const most = await store.transact(scope, writeOf(1, 3), work(...numbers.slice(1)));
    expect(most.outcome).toBe("committed");
    expect([await isStored(0), await isStored(97)]).toStrictEqual([false, true]);
  });

  test("what is stored is read first where nobody has claimed the namespace, and less than is known takes no batch", async () => {
    const { table, work, isStored, spy } = await opened();
    const store = new DynamoDBStore({ client: spy, table: table.name, namespace: "new" });
    await store.setCheckpoint(scope, { shardId, checkpoint: at(4) });
    const known = { ...writeOf(5, 9), after: { sequenceNumber: number(4) } };
    expect(await store.transact(scope, known, work(1))).toMatchObject({ outcome: "committed" });
    const lost = { ...writeOf(12, 13), after: { sequenceNumber: number(11) } };
    const error = await failure(store.transact(scope, lost, work(2)));
    expect(error).toMatchObject({ code: "STORE_REGRESSED", retryable: false, shardId });
    expect([await isStored(1), await isStored(2)]).toStrictEqual([true, false]);
  });

  test("a handler that goes on after an item was refused has stored nothing", async () => {
    const { store, order, isStored, spy } = await opened();
    for (const refused of [undefined, "an item", 98]) {
      const answer = store.transact(scope, writeOf(1, 3), (tx) => {
        tx.write(order(1));
        try {
          if (typeof refused === "number")
            tx.write(...Array.from({ length: refused }, () => order(2)));
          else tx.write(refused as unknown as TransactWriteItem);
        } catch {
          // As a handler does that looks at one record after the other.
        }
      });
      expect(await failure(answer), String(refused)).toMatchObject({ ...MISUSED, shardId });
    }
    expect(spy.take(), "nothing is sent").toStrictEqual([]);
    expect(await isStored(1)).toBe(false);
    expect(await store.getCheckpoint(scope, shardId)).toBeUndefined();
  });

  test("items of more than four megabytes are the handler's own failure", async () => {
    const { store, table } = await opened();
    const filler = { S: "x".repeat(390_000) };
    const large = (n: number): TransactWriteItem => ({
      Put: {
        TableName: table.name,
        Item: { namespace: { S: "large" }, shard_id: { S: `${n}` }, filler },
      },
    });
    const answer = store.transact(scope, writeOf(1, 3), (tx) => {
      for (let n = 0; n < 12; n += 1) tx.write(large(n));
    });
    const error = await failure(answer);
    expect(error).toMatchObject({ message: expect.stringMatching(/4 ?MB/i) });
    expect(error).not.toHaveProperty("retryable");
    expect(await store.getCheckpoint(scope, shardId)).toBeUndefined();
  });
});

describe("an item of the handler's that is refused", () => {
  test("by its condition is the handler's failure, as the SDK threw it, and nothing is stored", async () => {
    const { store, work, isStored } = await opened();
    const condition = {
      name: "TransactionCanceledException",
      CancellationReasons: expect.arrayContaining([
        expect.objectContaining({ Code: "ConditionalCheckFailed" }),
      ]),
    };
    await store.transact({ ...scope, streamName: "other" }, writeOf(1, 1), work(1));
    // Of a shard that is new, and of one that is not.
    expect(await failure(store.transact(scope, writeOf(1, 3), work(2, 1)))).toMatchObject(
      condition,
    );
    await store.transact(scope, writeOf(1, 3), work(3));
    expect(await failure(store.transact(scope, writeOf(4, 6), work(4, 1)))).toMatchObject(
      condition,
    );
    expect([await isStored(2), await isStored(4)]).toStrictEqual([false, false]);
    expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(at(3));
  });

  test("because its table is missing is the handler's failure; the store's own missing table is not", async () => {
    const { store, spy } = await opened();
    const put = (tx: DynamoTransaction): void =>
      tx.write({ Put: { TableName: "kc-none", Item: { id: { S: "1" } } } });
    const error = await failure(store.transact(scope, writeOf(1, 3), put));
    expect(error).toMatchObject({ name: "ResourceNotFoundException" });
    const missing = new DynamoDBStore({ client: spy, table: newTableName() });
    expect(await failure(missing.transact(scope, writeOf(1, 3), put))).toMatchObject({
      code: "STORE_SCHEMA",
    });
  });

  test("for a right that is lacking is the handler's failure if its own table is named, and else the store's", async () => {
    const { store, service, table } = await opened();
    const put = (tx: DynamoTransaction): void =>
      tx.write({ Put: { TableName: "kc-theirs", Item: { id: { S: "1" } } } });
    const denied = (name: string): string => {
      const type = "com.amazon.coral.service#AccessDeniedException";
      const message = `User: arn:aws:iam::1:user/u is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:1:table/${name} because no identity-based policy allows it`;
      return JSON.stringify({ ["__type"]: type, message });
    };
    for (const [name, expected] of [
      ["kc-theirs", { name: "AccessDeniedException" }],
      [table.name, { code: "STORE_ACCESS_DENIED" }],
    ] as const) {
      service.fault = (operation) =>
        operation === "TransactWriteItems"
          ? { error: "AccessDeniedException", body: denied(name) }
          : undefined;
      expect(await failure(store.transact(scope, writeOf(1, 3), put)), name).toMatchObject(
        expected,
      );
    }
  });

  test("for its form is the handler's failure", async () => {
    const { store, table } = await opened();
    const answer = store.transact(scope, writeOf(1, 3), (tx) =>
      tx.write({ Put: { TableName: table.name, Item: { namespace: { S: "no sort key" } } } }),
    );
    const error = await failure(answer);
    expect(error).toMatchObject({
      name: expect.stringMatching(/^(ValidationException|TransactionCanceledException)$/),
    });
    expect(error).not.toHaveProperty("retryable");
  });
});

describe("a transaction whose answer was lost", () => {
  test("is answered as done by the next try, although the handler's own conditions fail then", async () => {
    const { store, service, work } = await opened();
    await store.transact(scope, writeOf(1, 3), work(1));
    service.fault = (operation) => (operation === "TransactWriteItems" ? "lost-reply" : undefined);
    const lost = await failure(store.transact(scope, writeOf(4, 6), work(2)));
    expect(lost).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    service.fault = () => undefined;
    const again = await store.transact(scope, writeOf(4, 6), work(2));
    expect(again).toStrictEqual({ outcome: "already-done", stored: at(6) });
  });

  test("is answered as done where the service reports the handler's condition alone", async () => {
    const { store, service, work } = await opened();
    await store.transact(scope, writeOf(1, 3), work(1));
    const CancellationReasons = [{ Code: "None" }, { Code: "ConditionalCheckFailed" }];
    const error = "TransactionCanceledException";
    const body = JSON.stringify({
      __type: `com.amazonaws.dynamodb.v20120810#${error}`,
      CancellationReasons,
    });
    service.fault = (operation) =>
      operation === "TransactWriteItems" ? { error, body } : undefined;
    const again = await store.transact(scope, writeOf(1, 3), work(1));
    expect(again).toStrictEqual({ outcome: "already-done", stored: at(3) });
  });

  test("is committed once if the SDK sends it again by itself", async () => {
    const { store, service, work, isStored } = await opened({});
    await store.transact(scope, writeOf(1, 3), work(1));
    let lost = 0;
    service.fault = (operation) =>
      operation === "TransactWriteItems" && lost++ === 0 ? "lost-reply" : undefined;
    const answer = await store.transact(scope, writeOf(4, 6), work(2));
    expect([answer.outcome, lost]).toStrictEqual(["committed", 2]);
    expect(await isStored(2)).toBe(true);
  });

  test("does not hide that the same work is due again after a reset", async () => {
    const { store, table, spy } = await opened();
    const { client } = table;
    const add = (tx: DynamoTransaction): void =>
      tx.write({
        Update: {
          TableName: table.name,
          Key: { namespace: { S: "orders" }, shard_id: { S: "sum" } },
          UpdateExpression: "ADD times :one",
          ExpressionAttributeValues: { ":one": { N: "1" } },
        },
      });
    await store.setCheckpoint(scope, { shardId, checkpoint: at(0) });
    await store.transact(scope, writeOf(1, 3), add);
    await store.resetCheckpoint(scope, shardId, at(0));
    const again = await store.transact(scope, writeOf(1, 3), add);
    expect(again.outcome).toBe("committed");
    const Key = { namespace: { S: "orders" }, shard_id: { S: "sum" } };
    const { Item } = await client.send(
      new GetItemCommand({ TableName: table.name, Key, ConsistentRead: true }),
    );
    expect(Item?.["times"]).toStrictEqual({ N: "2" });
    expect(spy.take().length).toBeGreaterThan(0);
  });
});

test("a transaction that meets another one is sent again within the call", async () => {
  const { store, service, work } = await opened();
  await store.transact(scope, writeOf(1, 3), work(1));
  const error = "TransactionCanceledException";
  const codes = ["TransactionConflict", "ThrottlingError"];
  service.fault = (operation) => {
    const Code = operation === "TransactWriteItems" ? codes.shift() : undefined;
    if (Code === undefined) return undefined;
    const CancellationReasons = [{ Code: "None" }, { Code }];
    return { error, body: JSON.stringify({ __type: error, CancellationReasons }) };
  };
  const answer = await store.transact(scope, writeOf(4, 6), work(2));
  expect([answer.outcome, codes]).toStrictEqual(["committed", []]);
});

test("a shard that Go wrote last commits with the lease's own item, and only beyond Go's number", async () => {
  const { store, table, work, isStored } = await opened();
  const fence = { epoch: 2, owner: "a#1" };
  await table.claim(namespace, shardId, fence);
  await table.put(namespace, shardId, { sequence_number: { S: number(5) } });
  const lost = await store.transact(scope, writeOf(5, 8), work(1));
  expect(lost).toStrictEqual({ outcome: "lease-lost" });
  const done = await store.transact(scope, { ...writeOf(5, 8), fence }, work(1));
  expect(done).toStrictEqual({ outcome: "already-done", stored: at(5) });
  await table.put(namespace, shardId, { sequence_number: { S: number(5) } });
  const answer = await store.transact(scope, { ...writeOf(6, 8), fence }, work(2));
  expect([answer.outcome, await isStored(1), await isStored(2)]).toStrictEqual([
    "committed",
    false,
    true,
  ]);
});
