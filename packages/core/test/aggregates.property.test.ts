import { aggregate, type UserRecord } from "@kc/aggregator";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryStore, type Handler } from "../src/index.ts";
import { DecodedRecords } from "../src/kinesis/page-records.ts";
import { ShardAggregates } from "../src/kinesis/aggregates/shard-aggregates.ts";
import { Distribution } from "../src/kinesis/distribution.ts";
import { PageCursor } from "../src/reading/record-cursor.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { aggregateOf, takenApart } from "./support/aggregates.ts";
import type { Position } from "../src/checkpoints/position.ts";
import { STREAM, World } from "./support/world.ts";
import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { FakeClock } from "@kc/emulator";

const SHARD = "shardId-000000000000";
const hashKey = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(String);
const userRecord: fc.Arbitrary<UserRecord> = fc.oneof(
  fc.record({
    partitionKey: fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }),
    data: fc.uint8Array({ maxLength: 300, size: "max" }),
  }),
  fc.record({
    partitionKey: fc.constantFrom("a", "b"),
    explicitHashKey: hashKey,
    data: fc.uint8Array({ maxLength: 10 }),
  }),
);
const userRecords = fc.array(userRecord, { minLength: 2, maxLength: 40 });

interface Shown {
  readonly partitionKey?: string | undefined;
  readonly explicitHashKey?: string | undefined;
  readonly data: Uint8Array;
}

const plain = ({ partitionKey, explicitHashKey, data }: Shown): unknown => ({
  partitionKey,
  explicitHashKey,
  data: Buffer.from(data).toString("hex"),
});

test("what was aggregated comes out as it went in, whatever its length", () => {
  fc.assert(
    fc.property(userRecords, fc.integer({ min: 100, max: 5000 }), (records, maxBytes) => {
      const out = aggregate(records, { maxBytes }).flatMap(({ entry }) => {
        const { Data, PartitionKey: partitionKey, ExplicitHashKey: explicitHashKey } = entry;
        const apart = takenApart(Data!);
        return apart?.map(plain) ?? [plain({ partitionKey, explicitHashKey, data: Data! })];
      });
      expect(out).toEqual(records.map(plain));
    }),
  );
});

/** Data that are an aggregate, or something close to one. */
const mutated = fc
  .tuple(userRecords, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), fc.nat(40))
  .map(([records, changes, cut]) => {
    const data = Buffer.from(aggregateOf(records));
    for (const [at, byte] of changes) data[at % data.length] = byte;
    return changes.length === 0 ? data : data.subarray(0, data.length - (cut % data.length));
  });

test("data of any kind are taken apart whole, or delivered as they are: nothing is lost or invented", () => {
  const telemetry = new Telemetry({}, { stream: STREAM, application: "billing" });
  const aggregates = new ShardAggregates({
    shardId: SHARD,
    hashKeyRange: () => undefined,
    deaggregate: true,
    distribution: new Distribution(new FakeClock()),
    telemetry,
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(mutated, fc.uint8Array()), { maxLength: 5 }), (all) => {
      const page = new DecodedRecords(
        all.map((Data, i) => ({ Data, SequenceNumber: String(i + 1), PartitionKey: "k" })),
      );
      const cursor = new PageCursor(page, SHARD, 0, aggregates);
      const seen: string[] = [];
      for (let record = cursor.current(); record; record = cursor.current()) {
        expect(cursor.left).toBeGreaterThan(0);
        const isLast = cursor.endsStreamRecord;
        seen.push(`${record.sequenceNumber}:${Buffer.from(record.data).toString("hex")}`);
        cursor.advance();
        if (isLast) expect(cursor.current()?.sequenceNumber).not.toBe(record.sequenceNumber);
      }
      expect(cursor.left).toBe(0);
      const expected = all.flatMap((data, i) =>
        (takenApart(data)?.map((record) => record.data) ?? [data]).map(
          (each) => `${i + 1}:${Buffer.from(each).toString("hex")}`,
        ),
      );
      expect(seen).toEqual(expected);
    }),
  );
});

test("a resumption anywhere delivers what lies behind it, and nothing else", () => {
  const telemetry = new Telemetry({}, { stream: STREAM, application: "billing" });
  const aggregates = new ShardAggregates({
    shardId: SHARD,
    hashKeyRange: () => ({ startingHashKey: "0", endingHashKey: (2n ** 127n).toString() }),
    deaggregate: true,
    distribution: known(),
    telemetry,
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(mutated, fc.uint8Array()), { maxLength: 4 }), (all) => {
      const page = new DecodedRecords(
        all.map((Data, i) => ({ Data, SequenceNumber: String(i + 1), PartitionKey: "k" })),
      );
      const places = placesOf(new PageCursor(page, SHARD, 0, aggregates));
      for (const [i, { position }] of places.entries()) {
        const cursor = new PageCursor(page, SHARD, 0, aggregates);
        cursor.dropThrough(position);
        expect(placesOf(cursor)).toEqual(places.slice(i + 1));
      }
    }),
    { numRuns: 50 },
  );
});

function known(): Distribution {
  const distribution = new Distribution(new FakeClock());
  distribution.described({ RecordDistributionStrategy: "USER_PARTITION_KEY" });
  return distribution;
}

function placesOf(cursor: PageCursor) {
  const places: { readonly position: Position; readonly data: string }[] = [];
  for (let record = cursor.current(); record; record = cursor.current()) {
    const { sequenceNumber, subSequenceNumber } = record;
    const position =
      cursor.endsStreamRecord || subSequenceNumber === undefined
        ? { sequenceNumber }
        : { sequenceNumber, subSequenceNumber };
    places.push({ position, data: Buffer.from(record.data).toString("hex") });
    cursor.advance();
  }
  return places;
}

test("random failures inside aggregates lose nothing, and repeat nothing that was flushed", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 6 }),
      async (sizes, failures) => {
        const world = await World.of();
        const all: string[] = [];
        for (const size of sizes) {
          const texts = Array.from({ length: size }, (_, i) => `${all.length + i}`);
          all.push(...texts);
          const entries = aggregate(
            texts.map((text) => ({ partitionKey: "k", data: Buffer.from(text) })),
          ).map(({ entry }) => entry);
          await world.kinesis.send(new PutRecordsCommand({ StreamName: STREAM, Records: entries }));
        }
        const store = new MemoryStore();
        const handled: string[] = [];
        for (const after of [...failures, Infinity]) {
          let left = after;
          const handler: Handler = (record) => {
            left -= 1;
            if (left < 0) throw new Error("dies");
            handled.push(record.text());
          };
          const run = await world.start({ store, start: "TRIM_HORIZON" }, handler);
          await world.clock.advance(1500);
          await run.stop();
        }
        expect(handled).toEqual(all);
      },
    ),
    { numRuns: 20 },
  );
});
