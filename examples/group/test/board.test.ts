import type { LeaseGroupStatus } from "@kc/core";
import { expect, test } from "vitest";
import { Board } from "../src/board.ts";

type Owners = Readonly<Record<number, string | undefined>>;

/** What a worker reports whose shards all came here by their first claim. */
const status = (
  workerId: string,
  workers: string[],
  owners: Owners,
  epoch = 1,
): LeaseGroupStatus => ({
  workerId,
  incarnation: "i",
  state: "member",
  remainingMs: 1000,
  workers,
  shards: Object.entries(owners).map(([n, owner]) => ({
    shardId: `shardId-00000000000${n}`,
    owner,
    epoch,
    state: owner ? "held" : "free",
    ...(owner === workerId
      ? { heldForMs: 1, why: epoch === 1 ? "new" : "taken over from a#i" }
      : {}),
  })),
});

test("each change is one line, reported once, by its new owner", () => {
  const lines: string[] = [];
  const board = new Board((line) => lines.push(line.replaceAll(/ +/g, " ")));
  board.update(status("a", ["a", "b"], { 0: "a", 1: "b" }));
  board.update(status("a", ["a", "b"], { 0: "a", 1: "b" }));
  board.update(status("b", ["a", "b"], { 0: "a", 1: "b" }));
  board.update(status("b", ["b"], { 0: "b" }, 2));
  expect(lines).toEqual([
    "shard 0: a, new a[0]",
    "shard 1: b, new a[0] b[1]",
    "shard 1 was read to its end by b a[0]",
    "shard 0: a → b, taken over from a b[0]",
  ]);
});

test("settled is what all live workers agree on, every shard held, evenly", () => {
  const board = new Board(() => {});
  const even = { 0: "a", 1: "b", 2: "a" };
  board.update(status("a", ["a", "b"], even));
  expect(board.isSettled(["a", "b"])).toBe(false);
  board.update(status("b", ["a", "b"], { 0: "a", 1: "b", 2: undefined }));
  expect(board.isSettled(["a", "b"])).toBe(false);
  board.update(status("b", ["a", "b"], { 0: "a", 1: "a", 2: "a" }));
  expect(board.isSettled(["a", "b"])).toBe(false);
  board.update(status("b", ["a", "b"], even));
  expect(board.isSettled(["a", "b"])).toBe(true);
  expect(board.isSettled(["a", "b", "c"])).toBe(false);
  board.forget("b");
  expect(board.isSettled(["a", "b"])).toBe(false);
});
