import { expect, test } from "vitest";
import { judge, readJournal, type Disturbed, type Handling } from "./support/verdict.ts";

const PUT = new Map([["k", 3]]);

/** Handled by a worker from one moment to another. */
const handling = (number: number, worker: string, from: number, to?: number): Handling => ({
  worker,
  shardId: "s",
  key: "k",
  number,
  attempt: 1,
  beganAt: BigInt(from),
  endedAt: to === undefined ? undefined : BigInt(to),
  failed: false,
});
/** The same, with an error in the end. */
const failing = (
  number: number,
  worker: string,
  attempt: number,
  from: number,
  to: number,
): Handling => ({ ...handling(number, worker, from, to), attempt, failed: true });
const WELL = [handling(1, "a", 1, 2), handling(2, "a", 3, 4), handling(3, "b", 5, 6)];
const none: ReadonlySet<string> = new Set();
const LETTER: ReadonlySet<string> = new Set(["k:2"]);
const nobody: Disturbed = { violent: none, cutOff: none, resumedAt: new Map() };
const violent: Disturbed = { ...nobody, violent: new Set(["a"]) };
const cutOff: Disturbed = { ...nobody, cutOff: new Set(["a"]) };
const PEACE = {
  lost: [],
  outOfOrder: [],
  repeatedInPeace: [],
  overlaps: [],
  givenUpEarly: [],
  letters: 0,
  repeats: 0,
};

test("what was handled once and in order is well", () => {
  expect(judge(PUT, WELL, none, nobody)).toEqual(PEACE);
});

test("what was not finished is lost", () => {
  expect(judge(PUT, WELL.slice(0, 2), none, nobody).lost).toEqual(["k:3"]);
  expect(judge(PUT, [...WELL.slice(0, 2), handling(3, "b", 5)], none, nobody).lost).toEqual([
    "k:3",
  ]);
});

test("a first delivery before an earlier record is out of order", () => {
  const swapped = [handling(2, "a", 1, 2), handling(1, "a", 3, 4), handling(3, "a", 5, 6)];
  expect(judge(PUT, swapped, none, nobody).outOfOrder.length).toBeGreaterThan(0);
});

test("a repeat after a clean stop is reported, one after a kill is counted", () => {
  const again = [...WELL.slice(0, 2), handling(2, "b", 5, 6), handling(3, "b", 7, 8)];
  expect(judge(PUT, again, none, nobody)).toMatchObject({
    repeats: 1,
    repeatedInPeace: ["k:2 by b after a"],
  });
  expect(judge(PUT, again, none, violent)).toEqual({ ...PEACE, repeats: 1 });
  expect(judge(PUT, again, none, cutOff)).toEqual({ ...PEACE, repeats: 1 });
});

test("two handlers of a key at once are reported, unless the earlier one's process was frozen", () => {
  const both = [handling(1, "a", 1, 2), handling(2, "a", 3, 9), handling(3, "b", 5, 6)];
  expect(judge(PUT, both, none, nobody).overlaps).toEqual(["k:3 by b and a"]);
  expect(judge(PUT, both, none, cutOff).overlaps).toEqual(["k:3 by b and a"]);
  expect(judge(PUT, both, none, violent).overlaps).toEqual([]);
});

test("one record of a frozen process may begin when it continues, a second one is reported", () => {
  const resumed = (at: number): Disturbed => ({
    ...nobody,
    violent: new Set(["b"]),
    resumedAt: new Map([["b", BigInt(at)]]),
  });
  const late = [
    handling(1, "a", 1, 2),
    handling(2, "a", 3, 4),
    handling(2, "b", 6, 8),
    handling(3, "a", 5, 9),
  ];
  expect(judge(PUT, late, none, resumed(6))).toEqual({ ...PEACE, repeats: 1 });
  // Before it was frozen it had no right to that.
  expect(judge(PUT, late, none, resumed(7)).repeatedInPeace).toEqual(["k:2 by b after a"]);
  expect(judge(PUT, [...late, handling(3, "b", 10, 11)], none, resumed(6))).toEqual({
    ...PEACE,
    repeats: 2,
    repeatedInPeace: ["k:3 by b after a"],
  });
  // One that began beside it is compared with the others all the same.
  const beside = [...late, handling(3, "c", 8, 10)];
  expect(judge(PUT, beside, none, resumed(6)).overlaps).toEqual(["k:3 by c and a"]);
});

test("what failed may come again, here or elsewhere, and is lost until it is done or has a letter", () => {
  const [first, , third] = WELL;
  const late = handling(3, "b", 9, 10);
  const again = { ...handling(2, "a", 5, 6), attempt: 2 };
  expect(judge(PUT, [first!, failing(2, "a", 1, 3, 4), again, late], none, nobody)).toEqual(PEACE);
  const elsewhere = [first!, failing(2, "a", 1, 3, 4), handling(2, "b", 5, 6), late];
  expect(judge(PUT, elsewhere, none, nobody)).toEqual(PEACE);
  const given = [first!, failing(2, "a", 1, 3, 4), failing(2, "a", 2, 5, 6), late];
  expect(judge(PUT, given, none, nobody).lost).toEqual(["k:2"]);
  expect(judge(PUT, given, LETTER, nobody)).toEqual({ ...PEACE, letters: 1 });
  const early = [first!, failing(2, "a", 1, 3, 4), third!];
  expect(judge(PUT, early, LETTER, nobody).givenUpEarly).toEqual(["k:2"]);
});

test("what was given up is repeated like what was done", () => {
  const given = [failing(2, "a", 1, 3, 4), failing(2, "a", 2, 5, 6), handling(2, "b", 7, 8)];
  const all = [WELL[0]!, ...given, handling(3, "b", 9, 10)];
  expect(judge(PUT, all, LETTER, nobody).repeatedInPeace).toEqual(["k:2 by b after a"]);
  expect(judge(PUT, all, LETTER, violent)).toEqual({ ...PEACE, letters: 1, repeats: 1 });
});

test("a record that starts before the one before it is done, or has failed for the last time, is out of order", () => {
  const waits = [WELL[0]!, failing(2, "a", 1, 3, 4), handling(3, "a", 5, 6)];
  const last = { ...handling(2, "a", 7, 8), attempt: 2 };
  expect(judge(PUT, [...waits, last], none, nobody).outOfOrder).toEqual(["k:3 by a"]);
  const failed = [...waits, failing(2, "a", 2, 7, 8)];
  expect(judge(PUT, failed, LETTER, nobody).outOfOrder).toEqual(["k:3 by a"]);
});

test("two handlers of a key at once in one process are reported, whatever was done to it", () => {
  const both = [handling(1, "a", 1, 2), handling(2, "a", 3, 9), handling(3, "a", 5, 6)];
  expect(judge(PUT, both, none, violent).overlaps).toEqual(["k:3 by a and a"]);
});

test("a journal is read to its last whole line", () => {
  const text =
    "ready\nbegin 1 s 49 k:1 1\nend 2 s 49 k:1 1\nbegin 3 s 50 k:2 1\nfail 4 s 50 k:2 1\nbegin 5 s 51 k:3 1\nend 6 s 50 k";
  expect(readJournal("a", text)).toEqual([
    handling(1, "a", 1, 2),
    failing(2, "a", 1, 3, 4),
    handling(3, "a", 5),
  ]);
});
