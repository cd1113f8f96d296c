import { checkpointAt, type Checkpoint } from "@kc/core";
import { expect, test } from "vitest";
import { ApplicationKeys } from "../src/keys.ts";
import { connect, openStore, ownScope, SHARD, writeOf } from "./support/redis.ts";

/** Numbers of different lengths: the text of the lower one is the greater text. */
const at = (n: number): Checkpoint => ({ kind: "position", sequenceNumber: String(n) });
const beyond = (n: number, ahead: string): Checkpoint => ({ ...at(n), ahead }) as Checkpoint;

test("what is done beyond a position ends when the version before moves the position", async () => {
  const client = connect();
  const scope = ownScope();
  const store = openStore({ client });
  await store.setCheckpoint(scope, writeOf(beyond(9, "zz")));
  // It knows nothing of the field, and leaves it.
  const [checkpoint, companion] = new ApplicationKeys("", scope).shard(SHARD);
  await client.set(checkpoint, "10");
  await client.hset(companion, { at: "10", sub: "", end: "" });
  expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(at(10));
  const { outcome } = await store.setCheckpoint(scope, writeOf(beyond(10, "00")));
  expect(outcome).toBe("written");
  expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(beyond(10, "00"));
  // Nor does a number that Go writes.
  await client.set(checkpoint, "11");
  expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(at(11));
});

test("a position inside an aggregate is the last whole record to the version before, and its own keys stay what they are", async () => {
  const client = connect();
  const scope = ownScope();
  const inside = (n: number, subSequenceNumber: number, whole?: number): Checkpoint =>
    checkpointAt({
      sequenceNumber: String(n),
      subSequenceNumber,
      wholeSequenceNumber: whole === undefined ? undefined : String(whole),
    });
  const store = openStore({ client });
  const write = async (checkpoint: Checkpoint): Promise<string> =>
    (await store.setCheckpoint(scope, writeOf(checkpoint))).outcome;
  const [checkpoint, companion] = new ApplicationKeys("", scope).shard(SHARD);
  await write(at(7));
  // Its own keys inside an aggregate: the aggregate's number stands in Go's.
  await client.set(checkpoint, "9");
  await client.hset(companion, { at: "9", sub: "3", end: "" });
  expect(await store.getCheckpoint(scope, SHARD)).toStrictEqual(inside(9, 3));
  expect(await write(inside(9, 2, 8))).toBe("behind");
  expect(await write(inside(9, 4, 8))).toBe("written");
  // To it, our own fields count only where `at` is the number.
  expect(await client.get(checkpoint)).toBe("8");
  expect(await client.hget(companion, "at")).toBe("");
  // It leaves our fields as they were: beside the number that they belonged to they count no more.
  await client.hset(companion, { at: "8", sub: "", end: "" });
  expect(await openStore({ client }).getCheckpoint(scope, SHARD)).toStrictEqual(at(8));
});

test("a reset by the version before leaves no position inside an aggregate, whatever it leaves of ours", async () => {
  const client = connect();
  const scope = ownScope();
  const [checkpoint, companion] = new ApplicationKeys("", scope).shard(SHARD);
  const inside = checkpointAt({
    sequenceNumber: "9",
    subSequenceNumber: 4,
    wholeSequenceNumber: "8",
  });
  expect((await openStore({ client }).setCheckpoint(scope, writeOf(inside))).outcome).toBe(
    "written",
  );
  await client.del(checkpoint);
  await client.hset(companion, { at: "", sub: "", end: "", ahead: "" });
  await client.hincrby(companion, "epoch", 1);
  expect(await openStore({ client }).getCheckpoint(scope, SHARD)).toBeUndefined();
});
