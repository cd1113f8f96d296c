import { expect, test } from "vitest";
import type { Handled } from "../src/journal.ts";
import { prove } from "../src/proof.ts";

const put = new Set(["1", "2", "3", "10"]);
const handle = (run: number, partitionKey: string, ...sequenceNumbers: string[]): Handled[] =>
  sequenceNumbers.map((sequenceNumber) => ({ run, shardId: "s", sequenceNumber, partitionKey }));

test("all that was put and handled once, in order, proves that nothing is missing", () => {
  const proof = prove(put, handle(1, "a", "1", "2", "3", "10"));
  expect(proof).toMatchObject({ put: 4, distinct: 4, missing: 0, unknown: 0, keysOutOfOrder: 0 });
});

test("a record that was never handled is missing", () => {
  expect(prove(put, handle(1, "a", "1", "2", "10")).missing).toBe(1);
});

test("a key whose records came in another order is found, numbers compared as numbers", () => {
  expect(prove(put, handle(1, "a", "1", "10", "3")).keysOutOfOrder).toBe(1);
  expect(prove(put, [...handle(1, "a", "10"), ...handle(1, "b", "3")]).keysOutOfOrder).toBe(0);
});

test("repeats count for the run that repeated, and not as disorder", () => {
  const proof = prove(put, [...handle(1, "a", "1", "2", "3"), ...handle(2, "a", "2", "3", "10")]);
  expect([...proof.repeatsByRun]).toEqual([[2, 2]]);
  expect(proof.keysOutOfOrder).toBe(0);
});

test("a record that this producer never put is recognized", () => {
  expect(prove(put, handle(1, "a", "7")).unknown).toBe(1);
});
