import { expect, test } from "vitest";
import { checkJsonShape } from "../src/kinesis/wire/json-shape.ts";
import { readJsonReply } from "../src/kinesis/wire/json-reply.ts";

const MIB = 1024 * 1024;

test.each([
  ["empty objects", `{"Unknown":[${"{},".repeat(MIB)}0]}`],
  ["lists as deep as the reply is long", `{"Unknown":${"[".repeat(MIB)}${"]".repeat(MIB)}}`],
  ["objects after texts that end in backslashes", `["\\\\",${"{},".repeat(MIB)}"\\""]`],
])("JSON that takes twenty times its length is refused before it is parsed: %s", (_what, text) => {
  expect(() => checkJsonShape(Buffer.from(text))).toThrow(RangeError);
});

test("a page of 10,000 records is read, whatever brackets, quotes and backslashes its keys have", () => {
  const key = '[{"\\'.repeat(50);
  const record = (): object => ({ SequenceNumber: "1", Data: "eA==", PartitionKey: key });
  const Records = Array.from({ length: 10_000 }, record);
  const bytes = Buffer.from(JSON.stringify({ Records }));
  expect(() => checkJsonShape(bytes)).not.toThrow();
  expect(readJsonReply(bytes).records.length).toBe(10_000);
});
