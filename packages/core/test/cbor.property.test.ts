import { Decoder, Encoder, Tag } from "cbor-x";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCborReply, readCborValue } from "../src/kinesis/wire/cbor-reply.ts";
import { encodeCborRequest } from "../src/kinesis/wire/cbor-request.ts";
import { asOutput } from "./support/wire-output.ts";

/** A library that others keep well is the judge of what is CBOR, and of what it says. */
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

const text = fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 300 }));
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text,
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie("value"), { maxLength: 40 }),
    fc.dictionary(text, tie("value"), { maxKeys: 40 }),
  ),
})).value;

test("any value is what the library that wrote it meant", () => {
  fc.assert(
    fc.property(value, (given) => {
      expect(plain(readCborValue(encoder.encode(given)))).toEqual(plain(given));
    }),
    { numRuns: 1000 },
  );
});

test("any bytes are an error, or what the library makes of them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
      let read: unknown;
      try {
        read = readCborValue(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        return;
      }
      if (holdsTag(bytes) || holdsChunks(bytes)) return;
      expect(plain(read)).toEqual(plain(decoder.decode(Buffer.from(bytes))));
    }),
    { numRuns: 20_000 },
  );
});

test("a request is what it says, to the library that reads it", () => {
  const members = fc.dictionary(
    fc.string({ minLength: 1 }).filter((name) => name !== "__proto__"),
    fc.oneof(text, fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  );
  fc.assert(
    fc.property(members, (given) => {
      expect(decoder.decode(Buffer.from(encodeCborRequest(given)))).toEqual({ ...given });
    }),
  );
});

const record = fc.record({
  SequenceNumber: fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 129 })
    .map((digits) => digits.join("")),
  Data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  PartitionKey: text,
  ApproximateArrivalTimestamp: fc.date({
    min: new Date("2013-01-01"),
    max: new Date("2199-01-01"),
    noInvalidDate: true,
  }),
});

test("a page is what was written, its records' members in any order, lengths given or not", () => {
  const page = fc.tuple(
    fc.array(record, { maxLength: 60, size: "max" }),
    fc.boolean(),
    fc.boolean(),
  );
  fc.assert(
    fc.property(page, ([records, indefinite, turned]) => {
      const written = records.map((each) => {
        const members = Object.entries({
          ...each,
          ApproximateArrivalTimestamp: new Tag(each.ApproximateArrivalTimestamp.getTime(), 1),
        });
        return turned ? members.toReversed() : members;
      });
      const reply = readCborReply(
        map(
          [
            ["MillisBehindLatest", encoder.encode(5)],
            [
              "Records",
              array(
                written.map((each) => map(encoded(each), indefinite)),
                indefinite,
              ),
            ],
            ["NextShardIterator", encoder.encode("A")],
          ],
          indefinite,
        ),
      );
      expect(plain(asOutput(reply))).toEqual(
        plain({ MillisBehindLatest: 5, NextShardIterator: "A", Records: records }),
      );
    }),
  );
});

test("a record without data, and bytes after the page, make no page", () => {
  const [good, bad] = [{ SequenceNumber: "1", Data: Buffer.of(1) }, { SequenceNumber: "2" }];
  expect(readCborReply(encoder.encode({ Records: [good] })).records.length).toBe(1);
  expect(() => readCborReply(encoder.encode({ Records: [good, bad] }))).toThrow("no data");
  const followed = Buffer.concat([encoder.encode({ Records: [good] }), Buffer.of(0)]);
  expect(() => readCborReply(followed)).toThrow("more follows");
});

test.each([
  ["a list that says it has four thousand million members", "9affffffff00"],
  ["a text longer than what is left", "7affffffff41"],
  ["bytes longer than what is left", "5bffffffffffffffff41"],
  ["a list in a list, without an end", "9f".repeat(200_000)],
  ["a break where a value was due", "a1ff"],
  ["nothing", ""],
])("%s is an error, at once", (_name, hex) => {
  expect(() => readCborValue(Buffer.from(hex, "hex"))).toThrow(Error);
});

test.each([
  ["half", "f93e00", 1.5],
  ["the smallest half", "f90001", 2 ** -24],
  ["a negative half", "f9c400", -4],
  ["endless", "f97c00", Infinity],
  ["not a number", "f97e00", NaN],
  ["single", "fa3fc00000", 1.5],
  ["a text in two chunks, its letters cut in two", "7f62e6b361a861e6ff", "\u6ce8\ufffd"],
  ["bytes in two chunks", "5f41014102ff", Buffer.of(1, 2)],
  ["a member called __proto__", "a1695f5f70726f746f5f5f01", JSON.parse('{"__proto__":1}')],
])("%s", (_name, hex, expected) => {
  expect(plain(readCborValue(Buffer.from(hex, "hex")))).toEqual(plain(expected));
});

/** Bytes as text, -0 as 0, so that two libraries' values compare. */
function plain(given: unknown): unknown {
  if (given instanceof Uint8Array) return `bytes ${Buffer.from(given).toString("hex")}`;
  if (typeof given === "number" || typeof given === "bigint") return Number(given) + 0;
  if (given instanceof Date) return `date ${given.getTime()}`;
  if (Array.isArray(given)) return given.map(plain);
  if (typeof given !== "object" || given === null) return given ?? null;
  return Object.entries(given)
    .map(([name, member]) => [name, plain(member)])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

/** Tags mean something to the library, and nothing to us; so do map keys that are no text. */
function holdsTag(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte >> 5 === 6);
}

/** Texts and bytes in chunks, which the library does not read. */
function holdsChunks(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte === 0x5f || byte === 0x7f);
}

function encoded(members: readonly [string, unknown][]): [string, Uint8Array][] {
  return members.map(([name, member]) => [name, encoder.encode(member)]);
}

function map(members: readonly [string, Uint8Array][], indefinite: boolean): Buffer {
  const parts = members.flatMap(([name, member]) => [encoder.encode(name), member]);
  return Buffer.concat(
    indefinite
      ? [Buffer.of(0xbf), ...parts, Buffer.of(0xff)]
      : [Buffer.of(0xa0 + members.length), ...parts],
  );
}

function array(values: readonly Uint8Array[], indefinite: boolean): Buffer {
  return Buffer.concat(
    indefinite
      ? [Buffer.of(0x9f), ...values, Buffer.of(0xff)]
      : [Buffer.of(0x98, values.length), ...values],
  );
}
