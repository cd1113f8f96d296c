import { expect, test } from "vitest";
import { judge, readJournal } from "../src/ledger.ts";

const put = new Set(["1", "2", "3", "10"]);
const kill = { worker: "c", after: 4 };
const journal = (...lines: string[]): ReturnType<typeof readJournal> =>
  readJournal(lines.map((line) => `${line}\n`).join(""));

test("all that was put and handled once, in order, is a good verdict", () => {
  const handled = journal("a s 1 k", "b s 2 k", "c s 3 k", "a s 10 k");
  expect(judge(put, handled, kill)).toEqual({
    put: 4,
    distinct: 4,
    missing: 0,
    keys: 1,
    outOfOrder: 0,
    repeatsAfterGraceful: 0,
    repeatsAfterKill: 0,
    good: true,
  });
});

test("a record that was never handled is missing, one that was never put is too much", () => {
  const handled = journal("a s 1 k", "a s 2 k", "a s 3 k");
  expect(judge(put, handled, kill)).toMatchObject({ missing: 1, good: false });
  const more = journal("a s 1 k", "a s 2 k", "a s 3 k", "a s 10 k", "a s 11 k");
  expect(judge(put, more, kill)).toMatchObject({ missing: 0, distinct: 5, good: false });
});

test("a key's record that comes after a later one is out of order, whichever worker handled it", () => {
  const handled = journal("a s 1 k", "a s 10 k", "b s 3 k", "b s 2 other");
  expect(judge(put, handled, kill)).toMatchObject({ outOfOrder: 1, keys: 2, good: false });
});

test("only what the killed worker had handled may come again, and only after the kill", () => {
  const all = ["a s 1 k", "c s 2 k", "c s 3 k", "a s 10 k"];
  expect(judge(put, journal(...all, "b s 2 k", "b s 3 k"), kill)).toMatchObject({
    repeatsAfterKill: 2,
    repeatsAfterGraceful: 0,
    good: true,
  });
  expect(judge(put, journal(...all, "b s 1 k"), kill)).toMatchObject({
    repeatsAfterKill: 0,
    repeatsAfterGraceful: 1,
    good: false,
  });
  const early = journal("a s 1 k", "c s 2 k", "b s 2 k", "c s 3 k", "a s 10 k");
  expect(judge(put, early, kill)).toMatchObject({ repeatsAfterGraceful: 1, good: false });
});
