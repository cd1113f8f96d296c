import { expect, test } from "vitest";
import { readCborReply, readCborValue } from "../src/kinesis/wire/cbor-reply.ts";

const MIB = 1024 * 1024;

/** A map of one member: `name`, then `value`. */
function reply(name: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([0xa1, 0x60 + name.length]), Buffer.from(name), value]);
}

/** An array without a told length, of so many one-byte values. */
function many(byte: number, count: number): Uint8Array {
  return Buffer.concat([Buffer.from([0x9f]), Buffer.alloc(count, byte), Buffer.from([0xff])]);
}

/** So much the heap grows by what a call made, whether it is kept or not. */
function heapOf(call: () => unknown): number {
  const before = process.memoryUsage().heapUsed;
  const kept = call();
  const grown = process.memoryUsage().heapUsed - before;
  expect(kept).toBe(kept);
  return grown;
}

const EMPTY_MAP = 0xa0;
const EMPTY_TEXT_IN_CHUNKS = Buffer.concat([
  Buffer.from([0x7f]),
  Buffer.alloc(MIB, 0x60),
  Buffer.from([0xff]),
]);

test("members that nobody asks for are skipped: 8 MiB of empty maps take no memory", () => {
  const unknown = reply("Unknown", many(EMPTY_MAP, 8 * MIB));
  expect(heapOf(() => readCborReply(unknown))).toBeLessThan(8 * MIB);
  const text = (value: string): Buffer =>
    Buffer.concat([Buffer.from([0x60 + value.length]), Buffer.from(value)]);
  const members = [text("SequenceNumber"), text("1"), text("Data"), Buffer.from([0x40])];
  const record = Buffer.concat([Buffer.from([0xa3]), ...members, text("Unknown")]);
  const inRecord = reply(
    "Records",
    Buffer.concat([Buffer.from([0x81]), record, many(EMPTY_MAP, 8 * MIB)]),
  );
  expect(heapOf(() => expect(readCborReply(inRecord).records.length).toBe(1))).toBeLessThan(
    8 * MIB,
  );
});

test.each([
  ["children without an end", reply("ChildShards", many(EMPTY_MAP, 8 * MIB))],
  ["an error of empty maps", many(EMPTY_MAP, 8 * MIB)],
  ["a text in a million chunks", EMPTY_TEXT_IN_CHUNKS],
  ["maps as deep as the reply is long", Buffer.alloc(MIB, 0x81)],
  ["tags as deep as the reply is long", Buffer.alloc(MIB, 0xc1)],
  [
    "two lists of records",
    Buffer.concat([
      Buffer.from([0xa2]),
      ...[0, 1].map(() => reply("Records", Buffer.from([0x80])).subarray(1)),
    ]),
  ],
])("%s are refused, by an error and with bounded memory", (_what, bytes) => {
  const read = bytes[0]! >> 5 === 5 ? readCborReply : readCborValue;
  expect(
    heapOf(() => expect(() => read(bytes)).toThrow(expect.objectContaining({ name: "CborError" }))),
  ).toBeLessThan(32 * MIB);
});

test.each([0x81, 0xc1])("what is skipped may not lie deeper than the stack either: %i", (byte) => {
  expect(() => readCborReply(reply("Unknown", Buffer.alloc(MIB, byte)))).toThrow(
    expect.objectContaining({ name: "CborError" }),
  );
});
