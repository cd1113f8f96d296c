import { ConfigError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, at, namespace, openTable, scope, shardId } from "./support/fixture.ts";
import { SpyClient } from "./support/spy.ts";

const write = { shardId, checkpoint: at(1) };
const conflict = { code: "NAMESPACE_CONFLICT", retryable: false } as const;

describe("the namespace option", () => {
  it("keeps everything under that key, for one application alone", async () => {
    const { table } = await openTable();
    const store = new DynamoDBStore({
      client: table.client,
      table: table.name,
      namespace: "prod/billing",
    });
    await store.openApplication(scope, applicationRow());
    await store.setCheckpoint(scope, write);
    expect(await table.get("prod/billing", shardId)).toBeDefined();
    expect(await table.get(namespace, shardId)).toBeUndefined();

    const other = { ...scope, application: "audit" };
    const { outcome, row } = await store.openApplication(other, applicationRow(other));
    expect({ outcome, application: row.application }).toStrictEqual({
      outcome: "existing",
      application: "billing",
    });
    await expect(store.setCheckpoint(other, write)).rejects.toMatchObject({
      ...conflict,
      message: expect.stringContaining(
        'namespace "prod/billing" of DynamoDB table ' +
          `${table.name} belongs to application "billing" on stream "orders"`,
      ),
    });
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map([[shardId, at(1)]]));
  });
});

describe("a namespace that another claims", () => {
  const [mine, theirs] = [
    { application: "a-b", streamName: "c" },
    { application: "a", streamName: "b-c" },
  ];

  /** A handle that never opened its application, and a moment to step in between its requests. */
  async function unopened() {
    const { table, store: other } = await openTable();
    const spy = new SpyClient(table.client);
    const store = new DynamoDBStore({ client: spy, table: table.name });
    const claimOnce = (command: string): void => {
      spy.after = async (name) => {
        if (name !== command) return;
        spy.after = () => undefined;
        await other.openApplication(theirs, applicationRow(theirs));
        await other.setCheckpoint(theirs, write);
      };
    };
    return { store, other, claimOnce };
  }

  it.each(["setCheckpoint", "setCheckpoints"] as const)(
    "after %s has looked for a claim, and before it writes, is not written",
    async (method) => {
      const { store, other, claimOnce } = await unopened();
      claimOnce("GetItem");
      const further = { shardId, checkpoint: at(9) };
      const call =
        method === "setCheckpoint"
          ? store.setCheckpoint(mine, further)
          : store.setCheckpoints(mine, [further]);
      await expect(call).rejects.toMatchObject(conflict);
      expect(await other.getCheckpoint(theirs, shardId)).toStrictEqual(at(1));
    },
  );

  it("while a checkpoint is read is not read", async () => {
    const { store, other, claimOnce } = await unopened();
    claimOnce("GetItem");
    await other.setCheckpoint(mine, write);
    await expect(store.getCheckpoint(mine, shardId)).rejects.toMatchObject(conflict);
  });

  it("is not reset, by force either, even on a handle that knows of nothing", async () => {
    const { store, other } = await unopened();
    await other.openApplication(theirs, applicationRow(theirs));
    await other.setCheckpoint(theirs, write);
    const reset = store.resetCheckpoint(mine, shardId, undefined, { force: true });
    await expect(reset).rejects.toMatchObject(conflict);
    expect(await other.getCheckpoint(theirs, shardId)).toStrictEqual(at(1));
  });
});

describe("names", () => {
  it("of our own items are no shards", async () => {
    const { store } = await openTable();
    for (const name of ["kc#application", "kc#lease#shardId-1"]) {
      const calls = [
        () => store.getCheckpoint(scope, name),
        () => store.setCheckpoint(scope, { shardId: name, checkpoint: at(1) }),
        () => store.setCheckpoints(scope, [{ shardId: name, checkpoint: at(1) }]),
        () => store.resetCheckpoint(scope, name, undefined, { force: true }),
      ];
      for (const call of calls) await expect(call()).rejects.toBeInstanceOf(ConfigError);
    }
  });

  it("that look like code are names", async () => {
    const { table, store } = await openTable();
    const odd = { application: `:namespace OR attribute_exists(x)`, streamName: "#namespace" };
    await store.openApplication(odd, applicationRow(odd));
    await store.setCheckpoint(odd, { shardId: ":checkpoint", checkpoint: at(1) });
    expect(await store.getCheckpoints(odd)).toStrictEqual(new Map([[":checkpoint", at(1)]]));
    expect(await store.getCheckpoints(scope)).toStrictEqual(new Map());
    expect(await table.get(`${odd.application}-#namespace`, ":checkpoint")).toBeDefined();
  });
});
