import { expect, test } from "vitest";
import { AggregateFrames } from "../src/kinesis/aggregates/aggregate-frames.ts";
import { DecodedRecords } from "../src/kinesis/page-records.ts";
import { framed } from "./support/aggregates.ts";

const MIB = 2 ** 20;

/** A page of these data, and which of them are framed, asked for one after another and then in reverse. */
function framesOf(all: readonly Uint8Array[]): boolean[] {
  const page = new DecodedRecords(
    all.map((Data, i) => ({ Data, SequenceNumber: String(i + 1), PartitionKey: "k" })),
  );
  const frames = new AggregateFrames(page);
  const found = all.map((_, i) => frames.isFramed(i));
  const backwards = all.map((_, i) => frames.isFramed(all.length - 1 - i));
  expect(backwards.toReversed()).toEqual(found);
  return found;
}

function damaged(data: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(data);
  copy[copy.length - 1]! ^= 1;
  return copy;
}

test("frames are found one by one, however many records a page has and whatever lies between them", () => {
  const all = Array.from({ length: 200 }, (_, i) => {
    const data = framed(Buffer.alloc(1 + i * 37, i));
    if (i % 5 === 0) return Buffer.from(`ordinary ${i}`);
    return i % 7 === 0 ? damaged(data) : data;
  });
  expect(framesOf(all)).toEqual(all.map((_, i) => i % 5 !== 0 && i % 7 !== 0));
});

test("frames of more than a mebibyte are found too", () => {
  const large = framed(Buffer.alloc(MIB, 1));
  const small = framed(Buffer.alloc(10, 2));
  const all = [small, large, damaged(large), small, large, damaged(small)];
  expect(framesOf(all)).toEqual([true, true, false, true, true, false]);
});
