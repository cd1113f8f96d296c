import { expect, test } from "vitest";
import { CONFIRM_MS, ListingHistory } from "../src/groups/listing-history.ts";
import type { Shard } from "../src/index.ts";

const shards = (...shardIds: string[]): Shard[] =>
  shardIds.map((shardId) => ({
    shardId,
    parentShardIds: [],
    closed: false,
    hashKeyRange: undefined,
  }));

/** A listing that was asked for at that moment and took 100 ms. */
const at = (requestedAt: number) => ({
  requestedAt,
  receivedAt: requestedAt + 100,
});

test("a shard is gone when two listings, some time apart, did not name it", () => {
  const history = new ListingHistory();
  history.add(shards("a"), ["a", "b"], at(0));
  expect([...history.absent()]).toEqual(["b"]);
  expect(history.isGone("b")).toBe(false);
  history.add(shards("a"), ["a", "b"], at(CONFIRM_MS + 99));
  expect(history.isGone("b")).toBe(false);
  history.add(shards("a"), ["a", "b"], at(CONFIRM_MS + 100));
  expect([history.isGone("a"), history.isGone("b")]).toEqual([false, true]);
});

test("a listing that names it in between starts over, and what was not known is not missed", () => {
  const history = new ListingHistory();
  history.add(shards(), ["a"], at(0));
  history.add(shards("a"), ["a"], at(10_000));
  history.add(shards(), ["a"], at(20_000));
  expect(history.isGone("a")).toBe(false);
  history.add(shards(), [], at(30_000));
  expect(history.isGone("a")).toBe(false);
});

test("what a listing names counts from when it was asked for", () => {
  const history = new ListingHistory();
  history.add(shards("a"), [], at(1000));
  expect(history.names("a", 1000)).toBe(true);
  expect(history.names("a", 1001)).toBe(false);
  expect(history.names("b", 0)).toBe(false);
});
