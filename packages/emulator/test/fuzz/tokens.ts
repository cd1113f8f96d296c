import type { OperationName } from "../../src/api/operation-types.ts";
import { formatToken } from "../../src/model/token.ts";

type Kind = "text" | "count" | "text or null" | "number or null";

/** The member that carries a token, and what the token's fields are. */
const TOKENS: Partial<Record<OperationName, readonly [member: string, ...kinds: Kind[]]>> = {
  GetRecords: ["ShardIterator", "text", "count", "text", "count", "count", "count"],
  ListShards: [
    "NextToken",
    "text",
    "count",
    "text",
    "count",
    "text or null",
    "text or null",
    "number or null",
  ],
  ListStreams: ["NextToken", "text"],
};

/** Requests that go on by a token, of a service whose time is `now`. */
export function tokenRequests(
  now: number,
): readonly (readonly [OperationName, Record<string, unknown>])[] {
  const shard = "shardId-000000000000";
  return [
    ["GetRecords", { ShardIterator: formatToken(["s", 0, shard, 1, 0, now]), Limit: 10 }],
    ["GetRecords", { ShardIterator: formatToken(["s", 0, shard, 2, 0, now]) }],
    ["GetRecords", { ShardIterator: formatToken(["s", 0, shard, 1, 2, now]) }],
    ["ListShards", { NextToken: formatToken(["s", 0, shard, now, "FROM_TIMESTAMP", null, 1e9]) }],
    ["ListStreams", { NextToken: formatToken(["s"]) }],
  ];
}

/** The token with something else in one of its fields; any other text as it is. */
export function forgedToken(text: string, at: number, field: unknown): string {
  try {
    const fields: unknown = JSON.parse(Buffer.from(text, "base64").toString("utf8", 8));
    return Array.isArray(fields) ? formatToken(fields.with(at % fields.length, field)) : text;
  } catch {
    return text;
  }
}

/** The fields of a token that a request carries; "forged" = no service has issued it. */
export function tokenFields(
  operation: OperationName,
  input: Readonly<Record<string, unknown>>,
): readonly unknown[] | "forged" | undefined {
  const [member, ...kinds] = TOKENS[operation] ?? [];
  const token = member === undefined ? undefined : input[member];
  if (typeof token !== "string") return undefined;
  try {
    const fields: unknown = JSON.parse(Buffer.from(token, "base64").toString("utf8", 8));
    const isWhole =
      Array.isArray(fields) &&
      fields.length === kinds.length &&
      kinds.every((kind, i) => isOf(kind, fields[i]));
    return isWhole ? (fields as unknown[]) : "forged";
  } catch {
    return "forged";
  }
}

function isOf(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case "text":
      return typeof value === "string";
    case "count":
      return Number.isSafeInteger(value) && Number(value) >= 0;
    case "text or null":
      return value === null || typeof value === "string";
    case "number or null":
      return value === null || Number.isFinite(value);
  }
}
