import { expect, test } from "vitest";
import { judge, readJournal, type Disturbed, type Handling } from "./support/verdict.ts";

const PUT = new Map([["k", 3]]);

/** Handled by a worker from one moment to another. */
const handling = (number: number, worker: string, from: number, to?: number): Handling => ({
  worker,
  shardId: "s",
  key: "k",
  number,
  beganAt: BigInt(from),
  endedAt: to === undefined ? undefined : BigInt(to),
});
const WELL = [handling(1, "a", 1, 2), handling(2, "a", 3, 4), handling(3, "b", 5, 6)];
const none: ReadonlySet<string> = new Set();
const nobody: Disturbed = { violent: none, cutOff: none, resumedAt: new Map() };
const violent: Disturbed = { ...nobody, violent: new Set(["a"]) };
const cutOff: Disturbed = { ...nobody, cutOff: new Set(["a"]) };
const PEACE = { lost: [], outOfOrder: [], repeatedInPeace: [], overlaps: [], repeats: 0 };

test("what was handled once and in order is well", () => {
  expect(judge(PUT, WELL, nobody)).toEqual(PEACE);
});

test("what was not finished is lost", () => {
  expect(judge(PUT, WELL.slice(0, 2), nobody).lost).toEqual(["k:3"]);
  expect(judge(PUT, [...WELL.slice(0, 2), handling(3, "b", 5)], nobody).lost).toEqual(["k:3"]);
});

test("a first delivery before an earlier record is out of order", () => {
  const swapped = [handling(2, "a", 1, 2), handling(1, "a", 3, 4), handling(3, "a", 5, 6)];
  expect(judge(PUT, swapped, nobody).outOfOrder.length).toBeGreaterThan(0);
});

test("a repeat after a clean stop is reported, one after a kill is counted", () => {
  const again = [...WELL.slice(0, 2), handling(2, "b", 5, 6), handling(3, "b", 7, 8)];
  expect(judge(PUT, again, nobody)).toMatchObject({
    repeats: 1,
    repeatedInPeace: ["k:2 by b after a"],
  });
  expect(judge(PUT, again, violent)).toEqual({ ...PEACE, repeats: 1 });
  expect(judge(PUT, again, cutOff)).toEqual({ ...PEACE, repeats: 1 });
});

test("two handlers of a key at once are reported, unless the earlier one's process was frozen", () => {
  const both = [handling(1, "a", 1, 2), handling(2, "a", 3, 9), handling(3, "b", 5, 6)];
  expect(judge(PUT, both, nobody).overlaps).toEqual(["k:3 by b and a"]);
  expect(judge(PUT, both, cutOff).overlaps).toEqual(["k:3 by b and a"]);
  expect(judge(PUT, both, violent).overlaps).toEqual([]);
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
  expect(judge(PUT, late, resumed(6))).toEqual({ ...PEACE, repeats: 1 });
  // Before it was frozen it had no right to that.
  expect(judge(PUT, late, resumed(7)).repeatedInPeace).toEqual(["k:2 by b after a"]);
  expect(judge(PUT, [...late, handling(3, "b", 10, 11)], resumed(6))).toEqual({
    ...PEACE,
    repeats: 2,
    repeatedInPeace: ["k:3 by b after a"],
  });
  // One that began beside it is compared with the others all the same.
  const beside = [...late, handling(3, "c", 8, 10)];
  expect(judge(PUT, beside, resumed(6)).overlaps).toEqual(["k:3 by c and a"]);
});

test("a journal is read to its last whole line", () => {
  const text = "ready\nbegin 1 s 49 k:1\nend 2 s 49 k:1\nbegin 3 s 50 k:2\nend 4 s 50 k";
  expect(readJournal("a", text)).toEqual([handling(1, "a", 1, 2), handling(2, "a", 3)]);
});
