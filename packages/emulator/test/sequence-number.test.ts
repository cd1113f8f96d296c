import fc from "fast-check";
import { expect, it } from "vitest";
import {
  formatSequenceNumber,
  LAST_ORDINAL,
  parseSequenceNumber,
} from "../src/model/sequence-number.ts";

const seconds = fc.integer({ min: 0, max: 2_500_000_000 });
const sequenceNumber = fc.record({
  shardIndex: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  shardCreatedAt: seconds,
  incarnation: fc.integer({ min: 0, max: 255 }),
  ordinal: fc.bigInt({ min: 0n, max: LAST_ORDINAL }),
  arrivedAt: seconds,
});

it("reads back what it wrote", () => {
  fc.assert(
    fc.property(sequenceNumber, (number) => {
      expect(parseSequenceNumber(formatSequenceNumber(number))).toEqual(number);
    }),
  );
});

it("reads a number that the real service gave out", () => {
  // From the service's API reference; its layout is nowhere documented.
  const text = "49546986683135544286507457936321625675700192471156785154";
  expect(parseSequenceNumber(text)).toEqual({
    shardIndex: 0,
    shardCreatedAt: Date.parse("2015-01-14T23:47:10Z") / 1000,
    incarnation: 0,
    ordinal: 469n,
    arrivedAt: Date.parse("2015-01-14T23:49:46Z") / 1000,
  });
});

it.each(["", "0", "1234", "x".repeat(56), "4".repeat(56), `5${"0".repeat(55)}`])(
  "takes %j for no sequence number",
  (text) => expect(parseSequenceNumber(text)).toBeUndefined(),
);

it("takes a number whose two notes of the shard's index differ for no sequence number", () => {
  const number = { shardCreatedAt: 1, incarnation: 0, ordinal: 1n, arrivedAt: 1 };
  const value = BigInt(formatSequenceNumber({ ...number, shardIndex: 1 }));
  expect(parseSequenceNumber((value ^ (1n << 144n)).toString())).toBeUndefined();
});
