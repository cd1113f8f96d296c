import { readFileSync } from "node:fs";
import { checkpointAt, SHARD_END, shardEndAt, type Checkpoint } from "@kc/core";
import { beforeEach, describe, expect, it } from "vitest";
import type { MysqlStore } from "../src/index.ts";
import { SERVERS, ownDatabase, type Database } from "./support/servers.ts";
import {
  at,
  NAMESPACE,
  numberAt,
  openStore,
  SCOPE,
  SHARD,
  shard,
  writeOf,
} from "./support/store.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** The Go library's own table and statements, before and after this store's. */
describe.each(SERVERS)("beside the Go library on $name", ({ address }) => {
  let database: Database;
  let store: MysqlStore;

  beforeEach(async () => {
    database = await ownDatabase(address);
    await database.admin.query(
      `CREATE TABLE kinesis_consumer (
         namespace varchar(255), shard_id varchar(255), sequence_number numeric(65,0) NOT NULL,
         PRIMARY KEY (namespace, shard_id))`,
    );
  });

  const ours = async (): Promise<MysqlStore> => {
    store = openStore({ connection: database.options });
    await store.setup();
    return store;
  };

  const goWrites = async (sequenceNumber: string, shardId = SHARD): Promise<void> => {
    await database.admin.query(
      "REPLACE INTO kinesis_consumer (namespace, shard_id, sequence_number) VALUES (?, ?, ?)",
      [NAMESPACE, shardId, sequenceNumber],
    );
  };

  /** "" = none. */
  const goReads = async (shardId = SHARD): Promise<string> => {
    const [rows] = await database.admin.query({
      sql: "SELECT sequence_number FROM kinesis_consumer WHERE namespace = ? AND shard_id = ?",
      values: [NAMESPACE, shardId],
      rowsAsArray: true,
    });
    return Object.values(rows).flat().map(String).join();
  };

  const set = (checkpoint: Checkpoint) => store.setCheckpoint(SCOPE, writeOf(checkpoint));
  const get = () => store.getCheckpoint(SCOPE, SHARD);

  it("what Go wrote before setup() is read, to the last digit, and moved on", async () => {
    await goWrites(numberAt(1));
    await goWrites(numberAt(2), shard(1));
    await ours();
    expect(await store.getCheckpoints(SCOPE)).toStrictEqual(
      new Map([
        [SHARD, at(1)],
        [shard(1), at(2)],
      ]),
    );
    expect(await set(at(0))).toStrictEqual({ outcome: "behind", stored: at(1) });
    expect(await set(at(1))).toStrictEqual({ outcome: "same", stored: at(1) });
    expect(await set(at(2))).toStrictEqual({ outcome: "written", stored: at(2) });
    expect(await goReads()).toBe(numberAt(2));
  });

  it("what this store writes is what Go reads: the number of the last whole record", async () => {
    await ours();
    expect(await goReads()).toBe("");
    await set(at(4));
    const position = { sequenceNumber: numberAt(5), subSequenceNumber: 3 };
    await set(checkpointAt({ ...position, wholeSequenceNumber: numberAt(4) }));
    expect(await goReads(), "it repeats the aggregate").toBe(numberAt(4));
    await set(at(5));
    expect(await goReads()).toBe(numberAt(5));
    await set(SHARD_END);
    expect(await goReads(), "the number beside a shard's end stays").toBe(numberAt(5));
    await store.resetCheckpoint(SCOPE, SHARD, undefined);
    expect(await goReads()).toBe("");
    await set(SHARD_END);
    expect(await goReads(), "a shard's end without a number").toBe("0");
  });

  it("a shard's end leaves Go the number of its last record, never a smaller one", async () => {
    await ours();
    await set(at(5));
    const end = shardEndAt(numberAt(9));
    expect(await set(end)).toStrictEqual({ outcome: "written", stored: end });
    expect(await goReads()).toBe(numberAt(9));
    expect(await set(SHARD_END), "all ends are the same").toStrictEqual({
      outcome: "same",
      stored: end,
    });
    expect(await set(shardEndAt(numberAt(12)))).toStrictEqual({ outcome: "same", stored: end });
    expect(await goReads()).toBe(numberAt(9));
    await store.resetCheckpoint(SCOPE, SHARD, at(7));
    expect(await set(shardEndAt(numberAt(6)))).toMatchObject({ outcome: "written" });
    expect(await goReads()).toBe(numberAt(7));
    await store.resetCheckpoint(SCOPE, SHARD, end);
    expect(await get()).toStrictEqual(end);
  });

  it.each([
    ["a shard's end", [at(5), SHARD_END]],
    ["a shard's end without a number", [SHARD_END]],
    ["a sub-sequence number", [at(5, 3)]],
  ])("no %s is believed after Go's REPLACE", async (_title, checkpoints) => {
    for (const number of [numberAt(5), numberAt(6), numberAt(4), "0"]) {
      await ours();
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      for (const checkpoint of checkpoints) await set(checkpoint);
      await goWrites(number);
      const stands = { kind: "position", sequenceNumber: number };
      expect(await get(), number).toStrictEqual(stands);
      expect(await store.getCheckpoints(SCOPE), number).toStrictEqual(new Map([[SHARD, stands]]));
      expect(await set(at(7, 1)), "and it continues").toStrictEqual({
        outcome: "written",
        stored: at(7, 1),
      });
    }
  });

  it("nor after a statement that keeps our columns beside another number", async () => {
    await ours();
    for (const checkpoint of [at(5, 3), SHARD_END]) {
      await set(at(5));
      await set(checkpoint);
      await database.admin.query(`UPDATE kinesis_consumer SET sequence_number = ${numberAt(6)}`);
      expect(await get()).toStrictEqual(at(6));
      expect(await set(at(6, 0)), "a whole record is further on").toMatchObject({
        outcome: "behind",
      });
      expect(await set(at(7))).toStrictEqual({ outcome: "written", stored: at(7) });
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
    }
  });

  it("a number that is set back by hand: the README's statement ends all that counts beside it", async () => {
    const [, sql] = /```sql\n( {2}UPDATE[^`]*)```/.exec(README) ?? [];
    const [, sequenceNumber] = /sequence_number = (\d+)/.exec(sql!) ?? [];
    const number = sequenceNumber!;
    const position = { sequenceNumber: String(BigInt(number) + 1n), subSequenceNumber: 3 };
    await ours();
    for (const checkpoint of [
      checkpointAt({ sequenceNumber: number, subSequenceNumber: 3 }),
      checkpointAt({ ...position, wholeSequenceNumber: number }),
      shardEndAt(number),
      checkpointAt({ sequenceNumber: number }, "a"),
    ]) {
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      await set(checkpoint);
      await database.admin.query(sql!);
      expect(await get()).toStrictEqual(checkpointAt({ sequenceNumber: number }));
      const part = checkpointAt({ sequenceNumber: number, subSequenceNumber: 9 });
      expect(await set(part), "a part of that record").toMatchObject({ outcome: "behind" });
    }
  });

  it("Go's REPLACE does not take a lease away", async () => {
    await ours();
    await set(at(1));
    await database.admin.query("UPDATE kinesis_consumer_leases SET epoch = 4, owner = 'a#1'");
    await goWrites(numberAt(2));
    await expect(set(at(3))).rejects.toMatchObject({ code: "LEASE_LOST" });
    const fence = { epoch: 4, owner: "a#1" };
    const answer = await store.setCheckpoint(SCOPE, { ...writeOf(at(3)), fence });
    expect(answer.outcome).toBe("written");
  });

  it("a number that Go moves on between this store's look and its write stays", async () => {
    await ours();
    await goWrites(numberAt(1));
    const go = await database.admin.getConnection();
    try {
      await go.query("START TRANSACTION");
      const row = [NAMESPACE, SHARD, numberAt(9)];
      await go.query(
        "REPLACE INTO kinesis_consumer (namespace, shard_id, sequence_number) VALUES (?, ?, ?)",
        row,
      );
      const go9 = database
        .waitsForRow("`kinesis_consumer` (namespace")
        .then(() => go.query("COMMIT"));
      await Promise.all([set(at(5, 5)), go9]);
    } finally {
      go.destroy();
    }
    expect(await get()).toStrictEqual(at(9));
  });

  it("a shard that the table takes for another is refused, and moves nothing", async () => {
    await ours();
    const [upper, lower] = ["shardId-A", "shardId-a"];
    await store.setCheckpoint(SCOPE, writeOf(at(1), upper));
    // Our table of leases keeps both, so the write gets as far as Go's table.
    await store.putShards(SCOPE, [{ shardId: lower, lineage: "{}" }]);
    for (const call of [
      () => store.setCheckpoint(SCOPE, writeOf(at(2), lower)),
      () => store.getCheckpoint(SCOPE, lower),
      () => store.resetCheckpoint(SCOPE, lower, at(2)),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "STORE_SCHEMA",
        message: expect.stringContaining(`"${upper}" is in the place of "${lower}"`),
      });
    }
    expect(await store.getCheckpoint(SCOPE, upper)).toStrictEqual(at(1));
  });

  it("a row of Go's without a sequence number is reported with its shard", async () => {
    await ours();
    await goWrites("-5");
    await expect(get()).rejects.toMatchObject({
      code: "STORE_CORRUPT",
      message: expect.stringContaining(SHARD),
    });
    await store.resetCheckpoint(SCOPE, SHARD, at(1), { force: true });
    expect(await get()).toStrictEqual(at(1));
  });
});
