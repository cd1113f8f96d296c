import { createHash } from "node:crypto";
import { FakeClock } from "@kc/emulator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTable } from "../src/kinesis/aggregates/key-table.ts";
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
  fc.constantFrom([0xff], [0xfe], [0xe9], [0xc3], [0x80, 0x61]).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 60, max: 70 }).map((length) => Buffer.alloc(length, 0x61)),
);

test("whatever keys come, each has its own text, and is where its hash says", () => {
  const keys = new ShardKeys(HALF);
  fc.assert(
    fc.property(fc.array(key, { maxLength: 2000, size: "max" }), (all) => {
      for (const each of all) {
        const bytes = Buffer.concat([Buffer.from("<"), each, Buffer.from(">")]);
        const [start, end] = [1, 1 + each.length];
        const table = new KeyTable(bytes);
        table.add(start, end);
        keys.markOutOfRange(table);
        const isHere = createHash("md5").update(each).digest()[0]! < 0x80;
        if (table.text(0) !== each.toString() || table.isInRange(0) !== isHere) {
          expect.unreachable(`${each.toString("hex")} was taken for ${table.text(0)}`);
        }
      }
    }),
    { numRuns: 40 },
  );
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

test("many keys are judged together, wherever they lie, long or short, and their texts made in any order", () => {
  const keys = new ShardKeys(HALF);
  const long = fc.integer({ min: 50, max: 60 }).map((length) => Buffer.alloc(length, length));
  const texts = fc.array(fc.oneof(key, long), { maxLength: 600, size: "max" });
  fc.assert(
    fc.property(texts, fc.constantFrom(0, 2, 300), fc.array(fc.nat(599)), (all, between, first) => {
      const table = tableOf(all, between);
      keys.markOutOfRange(table);
      const expected = all.map((each) => createHash("md5").update(each).digest()[0]! < 0x80);
      expect(all.map((_, i) => table.isInRange(i))).toEqual(expected);
      expect(table.areAllInRange).toBe(!expected.includes(false));
      for (const i of first) if (i < all.length) table.text(i);
      expect(all.map((_, i) => table.text(i))).toEqual(all.map((each) => each.toString()));
    }),
    { numRuns: 60 },
  );
});

test("whose keys are is found by the shard's range as it is now", () => {
  const clock = new FakeClock();
  const distribution = new Distribution(clock);
  distribution.described({ RecordDistributionStrategy: "USER_PARTITION_KEY" });
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
  const outOfRange = (): number => aggregates.open(record)!.outOfRange;
  const whole = { startingHashKey: "0", endingHashKey: String(2n ** 128n - 1n) };
  const none = { startingHashKey: "0", endingHashKey: "0" };
  const seen = [undefined, HALF, none, HALF, whole, none].map((range) => {
    hashKeyRange = range;
    return outOfRange();
  });
  expect(seen).toEqual([0, 1, 2, 1, 0, 2]);
});
