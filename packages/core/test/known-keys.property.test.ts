import { createHash } from "node:crypto";
import { FakeClock } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTable } from "../src/kinesis/aggregates/key-table.ts";
import { KnownKeys } from "../src/kinesis/aggregates/known-keys.ts";
import { ShardAggregates } from "../src/kinesis/aggregates/shard-aggregates.ts";
import { ShardKeys } from "../src/kinesis/aggregates/shard-keys.ts";
import { Distribution } from "../src/kinesis/distribution.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { aggregateOf, recordOf, userRecord } from "./support/aggregates.ts";

const HALF = { startingHashKey: "0", endingHashKey: String(2n ** 127n - 1n) };

/** Few, so that they repeat, some of them not ASCII or malformed; and texts whose bytes are alike. */
const key = fc.oneof(
  fc.integer({ min: 0, max: 2000 }).map((n) => Buffer.from(`customer-${n}`)),
  fc.constantFrom("", "é", "\u{FFFD}", "ÿ", "\0").map((text) => Buffer.from(text)),
  // Of these two the hashes are the same.
  fc.constantFrom("costarring", "liquid").map((text) => Buffer.from(text)),
  fc.constantFrom([0xff], [0xfe], [0xe9], [0xc3], [0x80, 0x61]).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 60, max: 70 }).map((length) => Buffer.alloc(length, 0x61)),
);

test("whatever keys come, each has its own text, and is where its hash says", () => {
  const keys = new ShardKeys(HALF);
  fc.assert(
    fc.property(fc.array(key, { maxLength: 2000, size: "max" }), (all) => {
      const known = new KnownKeys();
      for (const each of all) {
        const bytes = Buffer.concat([Buffer.from("<"), each, Buffer.from(">")]);
        const [start, end] = [1, 1 + each.length];
        const table = new KeyTable(bytes);
        table.add(start, end);
        keys.judge(table, known);
        const isHere = createHash("md5").update(each).digest()[0]! < 0x80;
        if (table.text(0) !== each.toString() || table.isHere(0) !== isHere) {
          expect.unreachable(`${each.toString("hex")} was taken for ${table.text(0)}`);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test("a key that comes again is the one that is known, and keys without an end drive it out", () => {
  const known = new KnownKeys();
  const of = (text: string) => known.of(Buffer.from(text), 0, Buffer.byteLength(text));
  const first = of("customer-1");
  expect(of("customer-1")).toBe(first);
  for (let n = 2; n < 5000; n += 1) of(`customer-${n}`);
  expect(of("customer-1")).not.toBe(first);
  expect(of("customer-4999")).toBe(of("customer-4999"));
  for (const text of ["a".repeat(65), "ключ"]) expect(of(text)).not.toBe(of(text));
});

test("keys that a producer chose for their places do not make each other slow: few of them are kept", () => {
  const place = (text: string): number => {
    let hash = 0x811c9dc5 | 0;
    for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
    return (hash ^ (hash >>> 15)) & 1023;
  };
  const alike = Array.from({ length: 100_000 }, (_, n) => `key-${n}`).filter(
    (text) => place(text) === 7,
  );
  const known = new KnownKeys();
  const of = (text: string) => known.of(Buffer.from(text), 0, text.length);
  const first = alike.map(of);
  const kept = alike.filter((text, i) => of(text) === first[i]);
  expect(alike.length).toBeGreaterThan(64);
  expect(kept).toEqual(alike.slice(0, 16));
  expect(alike.map((text) => of(text).text)).toEqual(alike);
});

/** A table of these keys, with something between them. */
function tableOf(all: readonly Uint8Array[], between: number): KeyTable {
  const gap = Buffer.alloc(between, "-");
  const table = new KeyTable(Buffer.concat(all.flatMap((each) => [gap, each])));
  let at = 0;
  for (const { length } of all) {
    table.add(at + between, at + between + length);
    at += between + length;
  }
  return table;
}

test("many keys are judged together, wherever they lie, long or short, known or not", () => {
  const keys = new ShardKeys(HALF);
  const long = fc.integer({ min: 50, max: 60 }).map((length) => Buffer.alloc(length, length));
  const texts = fc.array(fc.oneof(key, long), { maxLength: 600, size: "max" });
  fc.assert(
    fc.property(texts, fc.constantFrom(0, 2, 300), fc.boolean(), (all, between, isKnown) => {
      const known = new KnownKeys();
      if (isKnown) keys.judge(tableOf(all.slice(0, 300), 0), known);
      const table = tableOf(all, between);
      keys.judge(table, known);
      const expected = all.map((each) => createHash("md5").update(each).digest()[0]! < 0x80);
      expect(all.map((_, i) => table.isHere(i))).toEqual(expected);
      expect(table.areAllHere).toBe(!expected.includes(false));
      expect(all.map((_, i) => table.text(i))).toEqual(all.map((each) => each.toString()));
    }),
    { numRuns: 60 },
  );
});

test("where the first keys are not known the others are not kept, and where one of them is, all are", () => {
  const keys = new ShardKeys(HALF);
  const known = new KnownKeys();
  const all = Array.from({ length: 20 }, (_, i) => Buffer.from(`customer-${i}`));
  const areKnown = (): number =>
    all.filter((each) => known.of(each, 0, each.length).isHere !== undefined).length;
  keys.judge(tableOf(all, 2), known);
  const first = areKnown();
  keys.judge(tableOf(all, 2), known);
  expect([first, areKnown()]).toEqual([8, 20]);
});

test("what is known of keys does not outlive the shard's range that it was known by", () => {
  const clock = new FakeClock();
  const distribution = new Distribution(clock);
  distribution.described("USER_PARTITION_KEY");
  let hashKeyRange: typeof HALF | undefined;
  const aggregates = new ShardAggregates({
    shardId: "shardId-000000000000",
    hashKeyRange: () => hashKeyRange,
    deaggregate: true,
    distribution,
    telemetry: new Telemetry({}, { stream: "orders", application: "billing" }, clock),
  });
  // The MD5 of "a" is in the lower half, that of "b" in the upper one.
  const record = recordOf(aggregateOf([userRecord("a", "1"), userRecord("b", "2")]));
  const outOfRange = (): number => aggregates.open(record, false)!.outOfRange;
  const whole = { startingHashKey: "0", endingHashKey: String(2n ** 128n - 1n) };
  const none = { startingHashKey: "0", endingHashKey: "0" };
  const seen = [undefined, HALF, none, HALF, whole, none].map((range) => {
    hashKeyRange = range;
    return outOfRange();
  });
  expect(seen).toEqual([0, 1, 2, 1, 0, 2]);
});
