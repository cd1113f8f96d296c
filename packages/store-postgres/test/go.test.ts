import { readFileSync } from "node:fs";
import { checkpointAt, SHARD_END, shardEndAt, type Checkpoint } from "@kc/core";
import { beforeEach, describe, expect, inject, test } from "vitest";
import type { PostgresStore } from "../src/index.ts";
import { SCOPE } from "./support/leases.ts";
import { failure, open, SCHEMA, type Opened } from "./support/open.ts";
import { PostgresStore as Store } from "../src/index.ts";

const FIRST = "49590338271490256608559692538361571095921575989136588898";
const NEXT = "49590338271490256608559692538361571095921575989136588899";
const SHARD = "shardId-000000000000";
const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const position = (sequenceNumber: string, subSequenceNumber?: number): Checkpoint =>
  subSequenceNumber === undefined
    ? { kind: "position", sequenceNumber }
    : { kind: "position", sequenceNumber, subSequenceNumber };

let opened: Opened;
let store: PostgresStore;
/** The table as its users made it, by hand: the Go library makes none. */
let table: string;

beforeEach(async () => {
  opened = await open(inject("postgres"));
  table = `${opened.schema}.go_checkpoints`;
  await opened.admin.query(`CREATE TABLE ${table} (
    namespace text NOT NULL,
    shard_id text NOT NULL,
    sequence_number numeric NOT NULL,
    CONSTRAINT go_checkpoints_pk PRIMARY KEY (namespace, shard_id)
  )`);
  store = new Store({ pool: opened.pool, schema: opened.schema, table: "go_checkpoints" });
});

/** The Go library's own read: undefined = it starts over. */
async function goGet(shardId: string = SHARD): Promise<string | undefined> {
  const { rows } = await opened.admin.query<{ sequence_number: string }>(
    `SELECT sequence_number FROM ${table} WHERE namespace=$1 AND shard_id=$2;`,
    ["billing-orders", shardId],
  );
  return rows[0]?.sequence_number;
}

/** The Go library's own write. */
async function goSet(sequenceNumber: string, shardId: string = SHARD): Promise<void> {
  await opened.admin.query(
    `INSERT INTO ${table} (namespace, shard_id, sequence_number) VALUES($1, $2, $3)
     ON CONFLICT (namespace, shard_id) DO UPDATE SET sequence_number= $3;`,
    ["billing-orders", shardId, sequenceNumber],
  );
}

const set = (checkpoint: Checkpoint) => store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint });
const get = () => store.getCheckpoint(SCOPE, SHARD);

describe("a table that the Go library wrote", () => {
  test("is asked to be set up, and says how", async () => {
    await goSet(FIRST);
    const error = await failure(store.getCheckpoints(SCOPE));
    expect(error).toMatchObject(SCHEMA);
    expect(String(error)).toContain("ADD COLUMN IF NOT EXISTS kc_at numeric");
    expect(await goGet()).toBe(FIRST);
  });

  test("continues where it is", async () => {
    await goSet(FIRST);
    await goSet("7", "shardId-000000000001");
    await store.setup();
    expect(await store.getCheckpoints(SCOPE)).toEqual(
      new Map([
        [SHARD, position(FIRST)],
        ["shardId-000000000001", position("7")],
      ]),
    );
    expect(await set(position("12"))).toEqual({ outcome: "behind", stored: position(FIRST) });
    expect(await set(position(FIRST))).toEqual({ outcome: "same", stored: position(FIRST) });
    expect(await set(position(NEXT))).toEqual({ outcome: "written", stored: position(NEXT) });
    expect(await goGet(), "and Go continues from there").toBe(NEXT);
  });
});

describe("the Go library, after this one", () => {
  beforeEach(() => store.setup());

  test("reads what was written, at a shard's end too", async () => {
    await set(position(FIRST));
    expect(await goGet()).toBe(FIRST);
    await set(position(NEXT));
    expect(await goGet()).toBe(NEXT);
    await set(SHARD_END);
    expect(await goGet(), "the number that the end came after").toBe(NEXT);
  });

  test("repeats an aggregate that is done in part: it reads the last whole record until then", async () => {
    const inside = (sub: number): Checkpoint =>
      checkpointAt({
        sequenceNumber: NEXT,
        subSequenceNumber: sub,
        wholeSequenceNumber: FIRST,
      });
    await set(position(FIRST));
    for (const sub of [0, 3]) {
      expect((await set(inside(sub))).outcome).toBe("written");
      expect(await goGet()).toBe(FIRST);
      expect(await get()).toEqual(inside(sub));
    }
    // It handles the aggregate, and writes its number: it is done.
    await goSet(NEXT);
    expect(await get()).toEqual(position(NEXT));
    expect((await set(inside(9))).outcome).toBe("behind");
  });

  test("is set back by hand: the README's statement ends all that counts beside the number", async () => {
    const [, sql] = /```sql\n( {2}UPDATE[^`]*)```/.exec(README) ?? [];
    const inside = { sequenceNumber: NEXT, subSequenceNumber: 3, wholeSequenceNumber: FIRST };
    const { schema, admin } = opened;
    for (const checkpoint of [
      position(FIRST, 3),
      checkpointAt(inside),
      shardEndAt(FIRST),
      checkpointAt({ sequenceNumber: FIRST }, "a"),
    ]) {
      await store.resetCheckpoint(SCOPE, SHARD, undefined);
      await set(checkpoint);
      await admin.query(sql!.replace("kinesis_consumer", `${schema}.go_checkpoints`));
      expect(await get()).toEqual(position(FIRST));
      expect((await set(position(FIRST, 9))).outcome, "a part of that record").toBe("behind");
    }
  });

  test("finds 0 for a shard that ended without a number", async () => {
    await set(SHARD_END);
    expect(await goGet()).toBe("0");
    expect(await get()).toEqual(SHARD_END);
  });

  test.each([
    ["forwards", NEXT],
    ["backwards", "5"],
  ])("writes %s: no sub-sequence number is believed that it did not mean", async (_, number) => {
    await set(position(FIRST, 3));
    await goSet(number);
    expect(await get()).toEqual(position(number));
    const after = String(BigInt(number) + 1n);
    expect((await set(position(number, 9))).outcome, "a part of that record").toBe("behind");
    expect((await set(position(after, 9))).outcome).toBe("written");
    expect(await get()).toEqual(position(after, 9));
  });

  test.each([
    ["forwards", NEXT],
    ["backwards", "5"],
  ])("writes %s: no shard's end is believed that it did not mean", async (_, number) => {
    await set(position(FIRST));
    await set(SHARD_END);
    await goSet(number);
    expect(await get()).toEqual(position(number));
    const bulk = await store.getCheckpoints(SCOPE);
    expect(bulk).toEqual(new Map([[SHARD, position(number)]]));
    const after = String(BigInt(number) + 1n);
    expect(await set(position(after))).toEqual({ outcome: "written", stored: position(after) });
    expect(await get(), "nor after a write of ours").toEqual(position(after));
  });

  test("does not touch leases: a shard that is held stays held", async () => {
    await opened.admin.query(
      `INSERT INTO ${table}_leases VALUES ('billing-orders', $1, 4, 'worker#1')`,
      [SHARD],
    );
    await goSet(FIRST);
    const write = { shardId: SHARD, checkpoint: position(NEXT) };
    const stale = { ...write, fence: { epoch: 3, owner: "worker#1" } };
    const held = { ...write, fence: { epoch: 4, owner: "worker#1" } };
    const answers = await store.setCheckpoints(SCOPE, [stale]);
    expect(answers).toEqual([{ outcome: "lease-lost" }]);
    expect(await store.setCheckpoint(SCOPE, held)).toMatchObject({ outcome: "written" });
  });

  test("finds nothing after a reset to undefined, and the position after any other", async () => {
    await set(position(NEXT));
    await store.resetCheckpoint(SCOPE, SHARD, position(FIRST));
    expect(await goGet()).toBe(FIRST);
    await store.resetCheckpoint(SCOPE, SHARD, undefined);
    expect(await goGet()).toBeUndefined();
  });
});

test("a table of Go's time with narrower types works, as far as they reach", async () => {
  await opened.admin.query(`DROP TABLE ${table}; CREATE TABLE ${table} (
    namespace varchar(20), shard_id varchar(40), sequence_number numeric(56,0) NOT NULL,
    UNIQUE (namespace, shard_id))`);
  await store.setup();
  expect((await set(position(FIRST, 2))).outcome).toBe("written");
  expect(await get()).toEqual(position(FIRST, 2));
  expect(await failure(set(position("9".repeat(57))))).toMatchObject(SCHEMA);
  const long = { application: "a name too long for it", streamName: "orders" };
  const write = { shardId: SHARD, checkpoint: position(FIRST) };
  expect(await failure(store.setCheckpoint(long, write))).toMatchObject(SCHEMA);
});

test("the option namespace opens what another name had written", async () => {
  await goSet(FIRST);
  await store.setup();
  const renamed = new Store({
    pool: opened.pool,
    schema: opened.schema,
    table: "go_checkpoints",
    namespace: "billing-orders",
  });
  const scope = { application: "invoices", streamName: "orders-v2" };
  expect(await renamed.getCheckpoint(scope, SHARD)).toEqual(position(FIRST));
});

test("numbers that no checkpoint can be are corrupt, never 'none', until a reset", async () => {
  await store.setup();
  for (const number of ["NaN", "-1", "1.5"]) {
    await goSet(number);
    const corrupt = { code: "STORE_CORRUPT", retryable: false };
    expect(await failure(get()), number).toMatchObject(corrupt);
    expect(await failure(store.getCheckpoints(SCOPE)), number).toMatchObject(corrupt);
    await store.resetCheckpoint(SCOPE, SHARD, position("3"));
    expect(await get()).toEqual(position("3"));
  }
});
