import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { Aggregate } from "../src/kinesis/aggregates/aggregate.ts";
import { ShardAggregates } from "../src/kinesis/aggregates/shard-aggregates.ts";
import { ShardKeys } from "../src/kinesis/aggregates/shard-keys.ts";
import { Distribution } from "../src/kinesis/distribution.ts";
import { DecodedRecords } from "../src/kinesis/page-records.ts";
import { PageCursor } from "../src/reading/record-cursor.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { MemoryCounter } from "./support/memory-counter.ts";
import { aggregateOf, framed, recordOf, takenApart, userRecord } from "./support/aggregates.ts";

const THREE = [userRecord("a", "one"), userRecord("b", "", "7"), userRecord("a", "three")];

test("the user records of an aggregate come one by one, each with its keys and its place", () => {
  const records = takenApart(aggregateOf(THREE))!;
  expect(records.map((record) => [record.text(), record.partitionKey])).toEqual([
    ["one", "a"],
    ["", "b"],
    ["three", "a"],
  ]);
  expect(records.map(({ subSequenceNumber }) => subSequenceNumber)).toEqual([0, 1, 2]);
  expect(records.map(({ explicitHashKey }) => explicitHashKey)).toEqual([
    undefined,
    "7",
    undefined,
  ]);
  expect(
    records.every(({ aggregated, sequenceNumber }) => aggregated && sequenceNumber === "1"),
  ).toBe(true);
});

test("the data of a user record are a view on the page, not a copy", () => {
  const data = aggregateOf(THREE);
  expect(takenApart(data)![0]!.data.buffer).toBe(data.buffer);
});

const bytes = (...parts: readonly (number | string)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part))),
  );
const field = (tag: number, content: Uint8Array | string): Buffer =>
  Buffer.concat([bytes(tag, content.length), Buffer.from(content)]);
const KEY = field(0x0a, "key");
const RECORD = field(0x1a, Buffer.concat([bytes(0x08, 0), field(0x1a, "data")]));

test.each<readonly [string, Uint8Array]>([
  [
    "tags and fields that are not known",
    Buffer.concat([
      KEY,
      field(
        0x1a,
        Buffer.concat([
          field(0x22, field(0x0a, "tag")),
          bytes(0x08, 0),
          field(0x1a, "data"),
          field(0x7a, "later"),
        ]),
      ),
      field(0x7a, "later"),
      bytes(0x81, 0x08, "12345678"),
      bytes(0x85, 0x08, "1234"),
    ]),
  ],
  ["the records before the table", Buffer.concat([RECORD, KEY])],
  [
    "a number in more bytes than it needs",
    Buffer.concat([
      KEY,
      field(0x1a, Buffer.concat([bytes(0x08, 0x80, 0x80, 0x00), field(0x1a, "data")])),
    ]),
  ],
  [
    "a field that comes twice, of which the last one counts",
    Buffer.concat([
      KEY,
      field(
        0x1a,
        Buffer.concat([bytes(0x08, 9), field(0x1a, "no"), bytes(0x08, 0), field(0x1a, "data")]),
      ),
    ]),
  ],
])("an aggregate with %s is taken apart", (_what, message) => {
  expect(takenApart(framed(message))?.map((record) => record.text())).toEqual(["data"]);
});

test.each<readonly [string, Uint8Array]>([
  ["no magic", Buffer.from("an ordinary record that is long enough")],
  ["nothing", new Uint8Array(0)],
  ["the magic alone", Buffer.from("f3899ac2", "hex")],
  ["magic and digest, and nothing between them", framed(new Uint8Array(0))],
  ["a table without user records", framed(KEY)],
  [
    "a user record whose key is not in the table",
    framed(Buffer.concat([KEY, field(0x1a, Buffer.concat([bytes(0x08, 1), field(0x1a, "data")]))])),
  ],
  [
    "a user record whose hash key is not in the table",
    framed(
      Buffer.concat([
        KEY,
        field(0x1a, Buffer.concat([bytes(0x08, 0, 0x10, 0), field(0x1a, "data")])),
      ]),
    ),
  ],
  ["a user record without a key", framed(Buffer.concat([KEY, field(0x1a, field(0x1a, "data"))]))],
  ["a user record without data", framed(Buffer.concat([KEY, field(0x1a, bytes(0x08, 0))]))],
  [
    "a user record that goes beyond the aggregate",
    framed(Buffer.concat([KEY, bytes(0x1a, 100), RECORD])),
  ],
  [
    "data that go beyond their user record",
    framed(Buffer.concat([KEY, bytes(0x1a, 6, 0x08, 0, 0x1a, 5), bytes("data!"), RECORD])),
  ],
  [
    "a number without an end",
    framed(Buffer.concat([KEY, bytes(0x1a, 13, 0x08), Buffer.alloc(12, 0xff)])),
  ],
  ["a group", framed(Buffer.concat([KEY, RECORD, bytes(0x3b, 0x3c)]))],
  [
    "a field whose number is too large",
    framed(Buffer.concat([KEY, RECORD, bytes(0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x01)])),
  ],
  ["a field without a number", framed(Buffer.concat([KEY, RECORD, bytes(0x00, 0x00)]))],
  [
    "a table of millions for one user record",
    framed(Buffer.concat([Buffer.alloc(200_000, field(0x0a, "")), RECORD])),
  ],
])("data with %s are an ordinary record", (_what, data) => {
  expect(takenApart(data)).toBeUndefined();
});

test("an aggregate with one bit changed, or its last byte gone, is an ordinary record", () => {
  const data = aggregateOf(THREE);
  for (let bit = 0; bit < data.length * 8; bit += 1) {
    const changed = Uint8Array.from(data);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(takenApart(changed)).toBeUndefined();
  }
  expect(takenApart(data.slice(0, -1))).toBeUndefined();
});

test("an aggregate may have keys that no user record has, so long as they are few", () => {
  const unused = (count: number): Uint8Array =>
    framed(Buffer.concat([KEY, Buffer.alloc(2 * count, field(0x0a, "")), RECORD]));
  expect(takenApart(unused(1000))?.map((record) => record.text())).toEqual(["data"]);
  expect(takenApart(unused(2000))).toBeUndefined();
});

test("an aggregate may have thousands of short keys, all of them before the user records", () => {
  const all = Array.from({ length: 10_000 }, (_, n) => userRecord(String(n), ""));
  const records = takenApart(aggregateOf(all));
  expect(records?.map(({ partitionKey }) => partitionKey)).toEqual(
    all.map(({ partitionKey }) => partitionKey),
  );
});

test("a user record's data that are handed over to another thread leave the others whole", () => {
  const [first, , third] = takenApart(aggregateOf(THREE))!;
  // Node 20 copies them all the same; later versions throw.
  try {
    structuredClone(first!.data, { transfer: [first!.data.buffer as ArrayBuffer] });
  } catch (error) {
    expect(error).toMatchObject({ name: "DataCloneError" });
  }
  expect(third!.text()).toBe("three");
});

test("an aggregate inside an aggregate is the data of a user record", () => {
  const inner = aggregateOf(THREE);
  const outer = aggregateOf([{ partitionKey: "a", data: inner }, userRecord("a", "plain")]);
  expect(takenApart(outer)!.map(({ data }) => Buffer.from(data))).toEqual([
    Buffer.from(inner),
    Buffer.from("plain"),
  ]);
});

test("an aggregate of 100,000 user records is taken apart", () => {
  const many = Array.from({ length: 100_000 }, (_, i) => userRecord(`key ${i % 300}`, `${i}`));
  const records = takenApart(aggregateOf(many))!;
  expect(records).toHaveLength(100_000);
  expect(records.at(-1)).toMatchObject({ subSequenceNumber: 99_999, partitionKey: "key 99" });
  expect(records.at(-1)!.text()).toBe("99999");
});

test("an index of two bytes is not taken for the tag that follows an index of one", () => {
  const data = "a string of 25 characters";
  const many = Array.from({ length: 3400 }, (_, i) => userRecord(`key ${i}`, data));
  const records = takenApart(aggregateOf(many))!;
  expect(records.every((record) => record.text() === data)).toBe(true);
  expect(records.at(-1)!.partitionKey).toBe("key 3399");
});

const LOWER = { startingHashKey: "0", endingHashKey: (2n ** 127n - 1n).toString() };
const UPPER = {
  startingHashKey: (2n ** 127n).toString(),
  endingHashKey: (2n ** 128n - 1n).toString(),
};

test("user records whose keys are another shard's are left out, and the last one that is not is the last", () => {
  // The MD5 of "a" begins with 0c, that of "b" with 92.
  const records = [
    userRecord("b", "upper"),
    userRecord("a", "lower"),
    userRecord("b", "lower by its hash key", "12"),
    userRecord("a", "upper by its hash key", (2n ** 127n).toString()),
  ];
  const data = aggregateOf(records);
  const lower = takenApart(data, new ShardKeys(LOWER))!;
  expect(lower.map((record) => [record.subSequenceNumber, record.text()])).toEqual([
    [1, "lower"],
    [2, "lower by its hash key"],
  ]);
  const upper = takenApart(data, new ShardKeys(UPPER))!;
  expect(upper.map((record) => record.text())).toEqual(["upper", "upper by its hash key"]);
  expect(takenApart(data, new ShardKeys(LOWER), false)).toHaveLength(4);
  const opened = Aggregate.open(recordOf(data), {
    keys: new ShardKeys(LOWER),
    mayLeaveOut: () => true,
    after: -1,
  })!;
  expect([opened.next(), opened.isLast]).toEqual([true, false]);
  expect([opened.next(), opened.isLast, opened.next()]).toEqual([true, true, false]);
  expect(opened.outOfRange).toBe(2);
});

test.each(["-1", "x", "1e3", `${2n ** 128n}`, "9".repeat(39)])(
  "a hash key that is none says nothing, its user record stays: %s",
  (hashKey) => {
    const message = Buffer.concat([
      KEY,
      field(0x12, hashKey),
      field(0x1a, Buffer.concat([bytes(0x08, 0, 0x10, 0), field(0x1a, "data")])),
    ]);
    for (const range of [LOWER, UPPER]) {
      expect(takenApart(framed(message), new ShardKeys(range))).toHaveLength(1);
    }
  },
);

test("user records that are left out behind a resumption inside their aggregate are counted", () => {
  const counter = new MemoryCounter();
  const shardId = "shardId-000000000000";
  const source = { stream: "orders", application: "billing" };
  const distribution = new Distribution(new FakeClock());
  const aggregates = new ShardAggregates({
    shardId,
    hashKeyRange: () => LOWER,
    deaggregate: true,
    distribution,
    telemetry: new Telemetry({ counter }, source),
  });
  // The MD5 of "a" is in the lower half, that of "b" in the upper one.
  const records = ["b", "a", "b", "a", "b"].map((key, i) => userRecord(key, String(i)));
  const page = new DecodedRecords([
    { Data: aggregateOf(records), SequenceNumber: "1", PartitionKey: "a" },
  ]);
  const count = (outcome: string): number =>
    counter.total("out_of_range_records", { ...source, shardId, outcome });

  // It is not known yet whether keys decide: all are to be delivered, but the process stops at the second one.
  new PageCursor(page, shardId, 0, aggregates).current();
  expect([count("delivered"), count("left-out")]).toEqual([3, 0]);

  distribution.described({ RecordDistributionStrategy: "USER_PARTITION_KEY" });
  const resumed = new PageCursor(page, shardId, 0, aggregates);
  resumed.dropThrough({ sequenceNumber: "1", subSequenceNumber: 1 });
  expect(resumed.current()!.text()).toBe("3");
  expect([count("delivered"), count("left-out")]).toEqual([3, 2]);
});
