import { join } from "node:path";
import { shardEndAt, type StoreScope, type WorkerMembership } from "@kc/core";
import Libsql from "libsql";
import { afterEach, beforeEach, expect, it } from "vitest";
import { SqliteStore, type SqliteDatabase } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

const SHARDS = 1000;
const scope: StoreScope = { application: "billing", streamName: "orders" };
const worker: WorkerMembership = {
  workerId: "a",
  incarnation: "1",
  weight: 1,
  maxShards: undefined,
};
const shardIds = Array.from({ length: SHARDS }, (_, n) => `shardId-${String(n).padStart(12, "0")}`);

let directory: ReturnType<typeof temporaryDirectory>;
let database: Libsql.Database;
let store: SqliteStore<SqliteDatabase>;
let statements = 0;

/** Counts what is run: each statement blocks the event loop. */
beforeEach(async () => {
  directory = temporaryDirectory();
  database = new Libsql(join(directory.path, "a.db"));
  const counted = {
    get open() {
      return database.open;
    },
    get inTransaction() {
      return database.inTransaction;
    },
    exec: (sql: string) => database.exec(sql),
    prepare: (sql: string) => {
      const statement = database.prepare(sql);
      return {
        all: (values: readonly unknown[]) => {
          statements += 1;
          return statement.all(values);
        },
      };
    },
  };
  store = new SqliteStore({ database: counted });
  await store.setup();
  await store.joinWorker(scope, worker);
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  database.close();
  directory.remove();
});

async function statementsOf(call: () => Promise<unknown>): Promise<number> {
  statements = 0;
  await call();
  return statements;
}

it("a thousand shards are put, claimed, written, given back and removed in a few statements each", async () => {
  const lineage = "{}";
  const put = () =>
    store.putShards(
      scope,
      shardIds.map((shardId) => ({ shardId, lineage })),
    );
  expect(await statementsOf(put), "put").toBeLessThanOrEqual(2);
  let held: Awaited<ReturnType<SqliteStore["acquireLeases"]>> = [];
  const claim = async () => (held = await store.acquireLeases(scope, worker, shardIds));
  expect(await statementsOf(claim), "claim").toBeLessThanOrEqual(4);
  expect(held).toHaveLength(SHARDS);
  const write = async () => {
    const writes = held.map(({ shardId, fence }, n) => ({
      shardId,
      fence,
      checkpoint: { kind: "position", sequenceNumber: String(n + 1) } as const,
    }));
    const results = await store.setCheckpoints(scope, writes);
    expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(["written"]));
  };
  expect(await statementsOf(write), "write").toBeLessThanOrEqual(2);
  expect((await store.getCheckpoints(scope)).get(shardIds[998]!)).toEqual({
    kind: "position",
    sequenceNumber: "999",
  });
  const giveBack = async () => expect(await store.releaseLeases(scope, held)).toHaveLength(SHARDS);
  expect(await statementsOf(giveBack), "give back").toBeLessThanOrEqual(2);
  expect(
    await statementsOf(() => store.removeShards(scope, shardIds)),
    "remove",
  ).toBeLessThanOrEqual(2);
  expect((await store.listLeases(scope)).leases).toEqual([]);
});

it("a shard's end keeps the number of the shard's last record", async () => {
  const [shardId = ""] = shardIds;
  const sequenceNumber = "49590338271490256608559692538361571095921575989136588898";
  await store.setCheckpoint(scope, { shardId, checkpoint: shardEndAt(sequenceNumber) });
  expect(await store.getCheckpoint(scope, shardId)).toEqual(shardEndAt(sequenceNumber));
  const again = await store.setCheckpoint(scope, { shardId, checkpoint: shardEndAt("7") });
  expect(again).toEqual({ outcome: "same", stored: shardEndAt(sequenceNumber) });
});
