import { ConfigError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { DynamoDBStore } from "../src/index.ts";

/** Called as from JavaScript, where no compiler looks on. */
function construct(options: object): unknown {
  try {
    return Reflect.construct(DynamoDBStore, [options]);
  } catch (error) {
    return error;
  }
}

describe("new DynamoDBStore", () => {
  it.each([
    ["table", {}, "a table's name"],
    ["table", { table: 5 }, "a table's name"],
    ["table", { table: "ab" }, "3 to 255"],
    ["table", { table: "a".repeat(256) }, "3 to 255"],
    ["table", { table: "checkpoints/other" }, "not checkpoints/other"],
    ["table", { table: 'kinesis_consumer"; DROP TABLE x; --' }, "A-Z a-z 0-9 _ . -"],
    ["table", { table: "Prüfpunkte" }, "A-Z a-z 0-9 _ . -"],
    ["table", { table: "arn:aws:s3:::bucket" }, "its ARN"],
    ["table", { table: "arn:aws:dynamodb:eu-west-1:123456789012:table/ab" }, "its ARN"],
    ["client", { table: "checkpoints", client: {} }, "DynamoDBClient"],
    ["client", { table: "checkpoints", client: null }, "DynamoDBClient"],
    ["namespace", { table: "checkpoints", namespace: "" }, "1 to 2048 bytes"],
    ["namespace", { table: "checkpoints", namespace: "ü".repeat(1025) }, "1 to 2048 bytes"],
    ["namespace", { table: "checkpoints", namespace: 7 }, "1 to 2048 bytes"],
    ["timeoutMs", { table: "checkpoints", timeoutMs: 99 }, "100 to 600000"],
    ["timeoutMs", { table: "checkpoints", timeoutMs: 600_001 }, "100 to 600000"],
    ["timeoutMs", { table: "checkpoints", timeoutMs: 1000.5 }, "100 to 600000"],
    ["timeoutMs", { table: "checkpoints", timeoutMs: "5000" }, "100 to 600000"],
    ["timeout", { table: "checkpoints", timeout: 5 }, "did you mean timeoutMs?"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
  });

  it.each([
    "kinesis_consumer",
    "select",
    "MixedCase.v2-x",
    "a".repeat(255),
    "arn:aws:dynamodb:eu-west-1:123456789012:table/checkpoints",
    "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/checkpoints",
  ])("takes %s for a table", (table) => {
    expect(construct({ table, namespace: "ü".repeat(1024) })).toBeInstanceOf(DynamoDBStore);
  });
});
