import { readFileSync } from "node:fs";
import { aggregate, type UserRecord } from "@kc/aggregator";
import { describe, expect, test } from "vitest";
import { aggregateOf, takenApart } from "./support/aggregates.ts";

interface Case {
  readonly partitionKey: string;
  readonly explicitHashKey?: string;
  readonly data: string;
}

const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`corpus/${path}`, import.meta.url), "utf8"));
const CASES = read("made-with/cases.json") as Readonly<Record<string, readonly Case[]>>;
const MADE = read("aggregates.json") as Readonly<Record<string, Readonly<Record<string, string>>>>;

const given = (name: string): UserRecord[] =>
  CASES[name]!.map((record) => ({ ...record, data: Buffer.from(record.data, "hex") }));

describe.each(Object.keys(MADE))("the aggregates of %s", (library) => {
  test.each(Object.keys(CASES))("are taken apart: %s", (name) => {
    const data = Buffer.from(MADE[library]![name]!, "hex");
    const records = takenApart(data)!.map(({ partitionKey, data: own, explicitHashKey }) => ({
      partitionKey,
      data: Buffer.from(own).toString("hex"),
      ...(explicitHashKey === undefined ? {} : { explicitHashKey }),
    }));
    const expected = CASES[name]!.map((record) => expect.objectContaining({ ...record }));
    expect(records).toEqual(expected);
  });
});

test.each(Object.keys(CASES).filter((name) => name !== "one record"))(
  "our aggregates are those of aws-kinesis-agg, byte for byte: %s",
  (name) => {
    const data = Buffer.from(aggregateOf(given(name))).toString("hex");
    expect(data).toBe(MADE["aws-kinesis-agg 4.2.8 (npm)"]![name]);
  },
);

type UserRecords = readonly { readonly partitionKey: string; readonly data: string }[];

test("aws-kinesis-agg takes our aggregates apart", async () => {
  const { default: library } = await import("aws-kinesis-agg");
  const records = given("140 keys");
  const [{ entry }] = aggregate(records) as [ReturnType<typeof aggregate>[number]];
  const record = {
    kinesisSchemaVersion: "1.0",
    partitionKey: "a",
    sequenceNumber: "1",
    data: Buffer.from(entry.Data!).toString("base64"),
    approximateArrivalTimestamp: 1.7e9,
  };
  let taken: UserRecords = [];
  library.deaggregateSync(record, true, (error, all = []) => {
    expect(error ?? undefined).toBeUndefined();
    taken = all;
  });
  expect(taken.map(({ partitionKey, data }) => [partitionKey, data])).toEqual(
    records.map(({ partitionKey, data }) => [partitionKey, Buffer.from(data).toString("base64")]),
  );
});
