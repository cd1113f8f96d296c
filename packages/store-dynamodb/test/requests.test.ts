import { readFileSync } from "node:fs";
import type {
  AttributeValue,
  ConsumedCapacity,
  DynamoDBClient,
  TransactWriteItemsCommandInput,
} from "@aws-sdk/client-dynamodb";
import { leaseStoreRound } from "@kc/conformance";
import { SHARD_END } from "@kc/core";
import { describe, expect, it, onTestFinished } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import {
  applicationRow,
  at,
  namespace,
  number,
  openTable,
  scope,
  shardId,
} from "./support/fixture.ts";
import { SpyClient } from "./support/spy.ts";
import { connect } from "./support/table.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** Where a request names the partition key. */
interface Named {
  readonly Key?: Record<string, AttributeValue>;
  readonly Item?: Record<string, AttributeValue>;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
}

/** A store that records what it sends. */
async function spied() {
  const { table } = await openTable();
  const spy = new SpyClient(table.client);
  const store = new DynamoDBStore({ client: spy, table: table.name });
  const open = async (): Promise<void> => {
    await store.openApplication(scope, applicationRow());
    spy.take();
  };
  return { table, spy, store, open };
}

describe("what a call sends", () => {
  it("a write: one UpdateItem, whatever its outcome; the first of a shard a transaction", async () => {
    const { spy, store, open } = await spied();
    await open();
    await store.setCheckpoint(scope, { shardId, checkpoint: at(1) });
    expect(spy.take()).toStrictEqual(["UpdateItem", "TransactWriteItems"]);
    for (const checkpoint of [at(2), at(2), at(1), SHARD_END, SHARD_END]) {
      await store.setCheckpoint(scope, { shardId, checkpoint });
      expect(spy.take()).toStrictEqual(["UpdateItem"]);
    }
  });

  it("a fenced write: one UpdateItem too", async () => {
    const { table, spy, store, open } = await spied();
    await open();
    const fence = { epoch: 1, owner: "a#1" };
    await table.claim(namespace, shardId, fence);
    await store.setCheckpoint(scope, { shardId, checkpoint: at(1), fence });
    spy.take();
    await store.setCheckpoint(scope, { shardId, checkpoint: at(2), fence });
    await store.setCheckpoint(scope, { shardId, checkpoint: at(3) }).catch(() => "lease-lost");
    expect(spy.take()).toStrictEqual(["UpdateItem", "UpdateItem"]);
  });

  it("after Go has written: a transaction once, and one UpdateItem from then on", async () => {
    const { table, spy, store, open } = await spied();
    await open();
    await table.put(namespace, shardId, { sequence_number: { S: number(9) } });
    const behind = await store.setCheckpoint(scope, { shardId, checkpoint: at(1) });
    expect(behind.outcome).toBe("behind");
    expect(spy.take()).toStrictEqual(["UpdateItem", "TransactWriteItems"]);
    await store.setCheckpoint(scope, { shardId, checkpoint: at(10) });
    expect(spy.take()).toStrictEqual(["UpdateItem"]);
  });

  it("a transaction: one TransactWriteItems, with one item beside the handler's; the first of a shard two", async () => {
    const { spy, store, open } = await spied();
    await open();
    const transact = (n: number) =>
      store.transact(
        scope,
        { shardId, from: { sequenceNumber: number(n) }, checkpoint: at(n) },
        () => undefined,
      );
    await transact(1);
    expect(spy.take()).toStrictEqual(["TransactWriteItems", "TransactWriteItems"]);
    await transact(2);
    expect(spy.take()).toStrictEqual(["TransactWriteItems"]);
    expect((spy.input as TransactWriteItemsCommandInput).TransactItems).toHaveLength(1);
    await transact(2);
    expect(spy.take(), "one that is done").toStrictEqual(["TransactWriteItems"]);
  });

  it("a read: one GetItem; all shards: one Query; both of the primary", async () => {
    const { spy, store, open } = await spied();
    await open();
    await store.getCheckpoint(scope, shardId);
    expect(spy.input).toMatchObject({ ConsistentRead: true });
    await store.getCheckpoints(scope);
    expect(spy.input).toMatchObject({ ConsistentRead: true });
    expect(spy.take()).toStrictEqual(["GetItem", "Query"]);
  });

  it("an application is opened by one UpdateItem, whether it is there or not", async () => {
    const { spy, store } = await spied();
    await store.openApplication(scope, applicationRow());
    await store.openApplication(scope, applicationRow());
    expect(spy.take()).toStrictEqual(["UpdateItem", "UpdateItem"]);
  });

  it("at most thirty-two writes of a bulk at once", async () => {
    const { spy, store, open } = await spied();
    await open();
    let [now, most] = [0, 0];
    spy.before = () => (most = Math.max(most, ++now));
    spy.after = () => void (now -= 1);
    const writes = Array.from({ length: 60 }, (_, index) => ({
      shardId: `shardId-0000000000${10 + index}`,
      checkpoint: at(1),
    }));
    await store.setCheckpoints(scope, writes);
    spy.after = () => undefined;
    // A refused condition is an answer that `after` does not see: it is counted at the second round.
    [now, most] = [0, 0];
    spy.after = () => void (now -= 1);
    await store.setCheckpoints(
      scope,
      writes.map(({ shardId: each }) => ({ shardId: each, checkpoint: at(2) })),
    );
    expect(most).toBe(32);
  });

  it("no warning of too many listeners, whatever the signal's owner allows", async () => {
    const { store, open } = await spied();
    await open();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    onTestFinished(() => void process.off("warning", onWarning));
    const writes = Array.from({ length: 60 }, (_, index) => ({
      shardId: `shardId-0000000000${10 + index}`,
      checkpoint: at(1),
    }));
    await store.setCheckpoints(scope, writes, { signal: new AbortController().signal });
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toStrictEqual([]);
  });
});

describe("what a call costs", () => {
  /** The capacity that each answered request consumed, as the service reports it. */
  function metered(client: DynamoDBClient): { take(): readonly (number | undefined)[] } {
    const units: (number | undefined)[] = [];
    client.middlewareStack.add(
      (next) => async (args) => {
        const answer = await next({
          ...args,
          input: { ...args.input, ReturnConsumedCapacity: "TOTAL" },
        });
        const { ConsumedCapacity: consumed } = answer.output as {
          ConsumedCapacity?: ConsumedCapacity | ConsumedCapacity[];
        };
        units.push(...[consumed ?? []].flat().map(({ CapacityUnits: each }) => each));
        return answer;
      },
      { step: "initialize" },
    );
    return { take: () => units.splice(0) };
  }

  it("a write one unit; the first of a shard one more for its refusal, and four", async () => {
    const client = connect();
    const { store } = await openTable(client);
    const meter = metered(client);
    await store.openApplication(scope, applicationRow());
    expect(meter.take(), "the application row").toStrictEqual([1]);
    await store.setCheckpoint(scope, { shardId, checkpoint: at(1) });
    expect(meter.take(), "the first write, after a refusal").toStrictEqual([4]);
    await store.setCheckpoint(scope, { shardId, checkpoint: at(2) });
    expect(meter.take(), "each later write").toStrictEqual([1]);
    await store.getCheckpoint(scope, shardId);
    expect(meter.take(), "a read").toStrictEqual([1]);
  });

  it("reading 1,000 shards, in as many pages as there are megabytes", async () => {
    const client = connect();
    const { table, store } = await openTable(client);
    // Items of others' making may be large: 1,200 bytes each here, which is more than one page.
    const filler = { S: "x".repeat(1200) };
    const ids = Array.from({ length: 1000 }, (_, index) => `shardId-${String(index)}`);
    for (let from = 0; from < ids.length; from += 25) {
      const chunk = ids.slice(from, from + 25);
      await Promise.all(
        chunk.map((id, index) =>
          table.put(namespace, id, { filler, sequence_number: { S: number(from + index) } }),
        ),
      );
    }
    const spy = new SpyClient(client);
    const reader = new DynamoDBStore({ client: spy, table: table.name });
    const found = await reader.getCheckpoints(scope);
    expect(spy.take()).toStrictEqual(["Query", "Query"]);
    expect(found.size).toBe(1000);
    for (const [index, id] of ids.entries()) expect(found.get(id), id).toStrictEqual(at(index));
    await store[Symbol.asyncDispose]();
  });
});

describe("the README's policy", () => {
  it("allows what consumers, groups and resets send, and no more, each to the application's own key", async () => {
    const { table, spy, store } = await spied();
    const [policy] = /\{\s+"Version"[^]*?\n\}/.exec(README)!;
    const { Statement } = JSON.parse(policy) as {
      Statement: { Action: string[]; Condition: Record<string, Record<string, string[]>> }[];
    };
    const [{ Action, Condition }] = Statement as [(typeof Statement)[0]];
    const actions = new Set<string>();
    const keys = new Set<string | undefined>();
    const note = (action: string, input: Named): void => {
      actions.add(`dynamodb:${action}`);
      const { Key, Item, ExpressionAttributeValues: values } = input;
      keys.add((Key ?? Item)?.["namespace"]?.S ?? values?.[":namespace"]?.S);
    };
    spy.before = (name) => {
      if (!name.startsWith("Transact")) return note(name, spy.input);
      const { TransactItems = [] } = spy.input as TransactWriteItemsCommandInput;
      for (const each of TransactItems) {
        const [[kind, input]] = Object.entries(each) as [[string, Named]];
        note(kind === "ConditionCheck" ? "ConditionCheckItem" : `${kind}Item`, input);
      }
    };
    await leaseStoreRound(store, scope);
    const write = { shardId, from: { sequenceNumber: number(1) }, checkpoint: at(1) };
    await store.transact(scope, write, () => undefined);
    const refused = store.transact(scope, { ...write, from: { sequenceNumber: number(2) } }, (tx) =>
      tx.write({
        ConditionCheck: {
          TableName: table.name,
          Key: { namespace: { S: namespace }, shard_id: { S: "an order" } },
          ConditionExpression: "attribute_exists(shard_id)",
        },
      }),
    );
    await expect(refused).rejects.toMatchObject({ name: "TransactionCanceledException" });
    await store.resetCheckpoint(scope, shardId, at(0));
    await store.resetCheckpoint(scope, shardId, undefined, { force: true });
    expect([...actions].toSorted()).toStrictEqual(Action.toSorted());
    expect([...keys]).toStrictEqual([namespace]);
    expect(Condition["ForAllValues:StringEquals"]).toStrictEqual({
      "dynamodb:LeadingKeys": [...keys],
    });
  });
});
