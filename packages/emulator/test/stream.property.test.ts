import fc from "fast-check";
import { expect, it } from "vitest";
import { HASH_KEYS } from "../src/model/hash-key.ts";
import { parseSequenceNumber } from "../src/model/sequence-number.ts";
import type { Shard } from "../src/model/shard.ts";
import { defaultSettings } from "../src/model/stream-settings.ts";
import { Stream } from "../src/model/stream.ts";

const START = Date.UTC(2026, 0, 1);
const RECORD = { partitionKey: "key", data: new Uint8Array(), size: 0, encrypted: false };

type Step =
  | { readonly kind: "split"; readonly shard: number; readonly at: bigint }
  | { readonly kind: "merge"; readonly shard: number }
  | { readonly kind: "scale"; readonly count: number }
  | { readonly kind: "put"; readonly hashKey: bigint; readonly later: number };

const hashKey = fc.bigInt({ min: 0n, max: HASH_KEYS - 1n });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("split" as const), shard: fc.nat(), at: hashKey }),
  fc.record({ kind: fc.constant("merge" as const), shard: fc.nat() }),
  fc.record({ kind: fc.constant("scale" as const), count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({
    kind: fc.constant("put" as const),
    hashKey,
    later: fc.integer({ min: -5, max: 2000 }),
  }),
);

/** Applies the steps that make sense at their place and returns the stream. */
function replay(shardCount: number, steps: readonly Step[]): Stream {
  const stream = Stream.create(
    {
      name: "s",
      arn: "arn",
      createdAt: START,
      incarnation: 0,
      firstSecond: 0,
      settings: defaultSettings(),
      quotas: {},
    },
    shardCount,
  );
  let now = START;
  for (const one of steps) {
    const open = stream.open.all;
    if (one.kind === "put") {
      now += one.later;
      stream.open.route(one.hashKey).append(RECORD, now);
    } else if (one.kind === "scale") {
      stream.scale(one.count, now);
    } else {
      const index = one.shard % open.length;
      const shard = open[index]!;
      if (one.kind === "split" && one.at > shard.range.start && one.at <= shard.range.end) {
        stream.split(shard, one.at, now);
      }
      if (one.kind === "merge" && index + 1 < open.length) {
        stream.merge(shard, open[index + 1]!, now);
      }
    }
  }
  return stream;
}

/** Just after the stream was created: retention takes nothing for that. */
const CLOCK_SET_BACK: Step = { kind: "put", hashKey: 0n, later: -1 };

const history = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 30 }));

it("open shards share out all hash keys, without gap or overlap, after any resharding", () => {
  fc.assert(
    fc.property(history, hashKey, ([count, steps], key) => {
      const stream = replay(count, steps);
      let next = 0n;
      for (const { range } of stream.open.all) {
        expect(range.start).toBe(next);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
        next = range.end + 1n;
      }
      expect(next).toBe(HASH_KEYS);
      const { range } = stream.open.route(key);
      expect(key >= range.start && key <= range.end).toBe(true);
    }),
  );
});

it("parents are closed, cover their children's hash keys, and end before them", () => {
  fc.assert(
    fc.property(history, ([count, steps]) => {
      const stream = replay(count, steps);
      for (const shard of stream.shards(START)) {
        if (shard.parents.length === 0) continue;
        const parents = shard.parents.map((id) => stream.shard(id, START)!);
        const siblings = stream.childrenOf(parents[0]!);
        expect(parents.every((parent) => parent.closedAt !== undefined)).toBe(true);
        expect(width(parents)).toBe(width(siblings));
        for (const parent of parents) {
          const end = BigInt(parent.endingSequenceNumber!);
          expect(BigInt(shard.startingSequenceNumber)).toBeGreaterThan(end);
        }
      }
    }),
    { examples: [[[1, [CLOCK_SET_BACK, { kind: "scale", count: 3 }]]]] },
  );
});

it("sequence numbers have 56 digits, strictly increase within a shard, and name it", () => {
  fc.assert(
    fc.property(history, ([count, steps]) => {
      const stream = replay(count, steps);
      for (const shard of stream.shards(START)) {
        const numbers = numbersOf(shard);
        for (const [index, number] of numbers.entries()) {
          expect(number).toMatch(/^49\d{54}$/);
          expect(parseSequenceNumber(number)).toMatchObject(shard.identity);
          if (index > 0) expect(BigInt(number)).toBeGreaterThan(BigInt(numbers[index - 1]!));
        }
      }
    }),
  );
});

function width(shards: readonly Shard[]): bigint {
  return shards.reduce((sum, { range }) => sum + range.end - range.start + 1n, 0n);
}

function numbersOf(shard: Shard): string[] {
  const numbers = [shard.startingSequenceNumber];
  for (let position = shard.first; position < shard.next; position++) {
    numbers.push(shard.at(position)!.sequenceNumber);
  }
  return shard.endingSequenceNumber ? [...numbers, shard.endingSequenceNumber] : numbers;
}
