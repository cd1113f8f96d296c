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

/** Members of a record in CBOR: some absent or null, in any order, with heads longer than they have to be. */
const shape = fc.record({
  order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5, maxLength: 5 }),
  members: fc.tuple(
    fc.constant("there"),
    fc.constantFrom("there", "seconds", "null", "absent"),
    fc.constant("there"),
    fc.constantFrom("there", "null", "absent"),
    fc.constantFrom("there", "null", "absent"),
  ),
  head: fc.constantFrom(0, 24, 25, 26, 27),
  indefinite: fc.boolean(),
});
interface Shape {
  readonly order: readonly number[];
  readonly members: readonly string[];
  readonly head: number;
  readonly indefinite: boolean;
}

const shapedRecords = fc
  .array(shape, { minLength: 1, maxLength: 3 })
  .chain((shapes) => fc.array(fc.tuple(fc.constantFrom(...shapes), record), { maxLength: 40 }));

test("the records of a page may each have other members, in an order of their own", () => {
  fc.assert(
    fc.property(shapedRecords, (records) => {
      const page = map([["Records", listOf(records.map(([of, each]) => shaped(of, each)))]], false);
      const { Records = [] } = asOutput(readCborReply(page));
      expect(plain(Records)).toEqual(plain(records.map(([of, each]) => meaning(of, each))));
    }),
  );
});

test("a record's number and key are its own, in whatever order records are asked for", () => {
  const key = fc.oneof(
    fc.string({ maxLength: 14 }),
    fc.string({ unit: "binary", maxLength: 14 }),
    fc.string({ minLength: 200, maxLength: 256 }),
  );
  const written = fc.array(
    fc.record({
      SequenceNumber: fc
        .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 129 })
        .map((digits) => digits.join("")),
      Data: fc.constantFrom(Buffer.of(), Buffer.of(1)),
      PartitionKey: key,
    }),
    { minLength: 1, maxLength: 40 },
  );
  fc.assert(
    fc.property(
      written,
      fc.array(fc.nat(), { maxLength: 40 }),
      fc.boolean(),
      (given, at, turned) => {
        const list = given.map((each) => {
          const members = encoded(Object.entries(each));
          return map(turned ? members.toReversed() : members, false);
        });
        // The page ends with its last record, whose last text may be the number or the key.
        const { records } = readCborReply(
          map([["Records", Buffer.concat([Buffer.of(0x98, list.length), ...list])]], false),
        );
        for (const index of [...given.keys(), ...at.map((each) => each % given.length)]) {
          const { sequenceNumber, partitionKey } = records.record(index, "shard", 0);
          const { SequenceNumber, PartitionKey } = given[index]!;
          expect([sequenceNumber, partitionKey]).toEqual([SequenceNumber, asUtf8(PartitionKey)]);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("records with a member that nobody knows, one after another, are read as each would be alone", () => {
  const known: [string, unknown][] = [
    ["SequenceNumber", "1"],
    ["Data", Buffer.of(1)],
    ["PartitionKey", "k"],
  ];
  for (const later of ["a text", 1, Buffer.of(1), { deep: [1] }, null]) {
    for (const at of [0, 1, 2, 3]) {
      const members = encoded([...known.slice(0, at), ["Later", later], ...known.slice(at)]);
      const one = map(members, false);
      const { Records = [] } = asOutput(
        readCborReply(map([["Records", listOf([one, one, one])]], false)),
      );
      expect(plain(Records.map(({ PartitionKey }) => PartitionKey))).toEqual(["k", "k", "k"]);
    }
  }
});

test("a mutated record is read alike behind one of its kind and behind another", () => {
  const other = map(
    [
      ["Unknown", encoder.encode(1)],
      ["SequenceNumber", encoder.encode("7")],
      ["Data", encoder.encode(Buffer.of(7))],
    ],
    false,
  );
  const mutations = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 7 })), {
    minLength: 1,
    maxLength: 3,
  });
  // With such records, each is the template for the next one.
  const usual = shape.map((of) => ({
    ...of,
    indefinite: false,
    members: of.members.map((each) => (each === "null" ? "absent" : each)),
  }));
  fc.assert(
    fc.property(
      usual,
      fc.array(record, { minLength: 3, maxLength: 3 }),
      mutations,
      (of, given, at) => {
        const records = given.map((each) => shaped(of, each));
        for (const [index, bit] of at) records[2]![index % records[2]!.length]! ^= 1 << bit;
        // Behind another one, it is searched for each member.
        const apart = records.flatMap((each) => [other, each]);
        const readPage = (list: readonly Uint8Array[]): unknown[] | "error" => {
          try {
            const { Records = [] } = asOutput(
              readCborReply(map([["Records", listOf(list)]], false)),
            );
            return Records.map(plain);
          } catch {
            return "error";
          }
        };
        const searched = readPage(apart);
        const found = searched === "error" ? searched : searched.filter((_, i) => i % 2 === 1);
        expect(readPage(records)).toEqual(found);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a record without data, and bytes after the page, make no page", () => {
  const [good, bad] = [{ SequenceNumber: "1", Data: Buffer.of(1) }, { SequenceNumber: "2" }];
  expect(readCborReply(encoder.encode({ Records: [good] })).records.length).toBe(1);
  expect(() => readCborReply(encoder.encode({ Records: [good, bad] }))).toThrow("no data");
  const followed = Buffer.concat([encoder.encode({ Records: [good] }), Buffer.of(0)]);
  expect(() => readCborReply(followed)).toThrow("trailing bytes");
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

/** As UTF-8 carries it: without halves of pairs. */
function asUtf8(given: string): string {
  return Buffer.from(given).toString();
}

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

type RecordOf = typeof record extends fc.Arbitrary<infer T> ? T : never;

const SHAPED = [
  "SequenceNumber",
  "ApproximateArrivalTimestamp",
  "Data",
  "PartitionKey",
  "EncryptionType",
];

function shaped({ order, members, head, indefinite }: Shape, of: RecordOf): Buffer {
  const millis = of.ApproximateArrivalTimestamp.getTime();
  const arrival = members[1] === "seconds" ? Math.floor(millis / 1000) : millis;
  const values = [
    withHead(3, head, Buffer.from(of.SequenceNumber)),
    encoder.encode(new Tag(arrival, 1)),
    withHead(2, head, of.Data),
    withHead(3, head, Buffer.from(of.PartitionKey)),
    withHead(3, head, Buffer.from("KMS")),
  ];
  const present = order.filter((index) => members[index] !== "absent");
  return map(
    present.map((index) => [
      SHAPED[index]!,
      members[index] === "null" ? Buffer.of(0xf6) : values[index]!,
    ]),
    indefinite,
  );
}

/** What `shaped` says. */
function meaning({ members }: Shape, of: RecordOf): object {
  const millis = of.ApproximateArrivalTimestamp.getTime();
  const arrival = members[1] === "seconds" ? Math.floor(millis / 1000) * 1000 : millis;
  const isKnown = members[1] === "there" || members[1] === "seconds";
  return {
    SequenceNumber: of.SequenceNumber,
    Data: of.Data,
    ApproximateArrivalTimestamp: new Date(isKnown ? arrival : 0),
    PartitionKey: members[3] === "there" ? of.PartitionKey : undefined,
    ...(members[4] === "there" ? { EncryptionType: "KMS" } : {}),
  };
}

/** A text or byte string whose length is written as `info` says, if it fits. */
function withHead(type: number, info: number, content: Uint8Array): Buffer {
  const bytes = { 24: 1, 25: 2, 26: 4, 27: 8 }[info];
  if (bytes === undefined || content.length >= 256 ** bytes) {
    return type === 2 ? encoder.encode(Buffer.from(content)) : textOf(content);
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(content.length));
  return Buffer.concat([Buffer.of((type << 5) | info), length.subarray(8 - bytes), content]);
}

function textOf(content: Uint8Array): Buffer {
  return encoder.encode(Buffer.from(content).toString());
}

function listOf(values: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.of(0x9f), ...values, Buffer.of(0xff)]);
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
