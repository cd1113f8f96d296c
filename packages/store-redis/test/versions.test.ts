import type { Checkpoint } from "@kc/core";
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
