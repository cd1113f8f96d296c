import { describe, expect, it } from "vitest";
import {
  ConsumerRecord,
  decodeDeadLetter,
  encodeDeadLetter,
  KcError,
  NonRetriableError,
  RetryAfterError,
  type DeadLetter,
} from "../src/index.ts";
import { deadLetterId, deadLetterOf, pointerTo } from "../src/delivery/letters/dead-letter.ts";

const KEY = {
  streamName: "orders",
  application: "billing",
  shardId: "shardId-000000000000",
  sequenceNumber: "495903382714902566085596925383615710959215759891365888",
};
const ARRIVED = new Date("2026-11-28T09:00:00.001Z");
const FAILED = new Date("2026-11-28T09:00:02.003Z");

function recordOf(own: Partial<ConsumerRecord> = {}): ConsumerRecord {
  return new ConsumerRecord({
    data: new TextEncoder().encode("an order"),
    partitionKey: "customer",
    sequenceNumber: KEY.sequenceNumber,
    subSequenceNumber: undefined,
    approximateArrivalMs: ARRIVED.getTime(),
    shardId: KEY.shardId,
    millisBehindLatest: 0,
    encryptionType: "NONE",
    ...own,
  });
}

function letterOf(error: unknown, own: Partial<ConsumerRecord> = {}): DeadLetter {
  const failure = { attempts: 3, firstFailedAt: FAILED, reason: "attempts", error } as const;
  return deadLetterOf({ streamName: "orders", application: "billing" }, recordOf(own), failure);
}

describe("a letter's id", () => {
  it("stays the same for good: 32 hex digits of the record's names and numbers", () => {
    expect(deadLetterId(KEY)).toBe("38ec40c38b14a2ab34710232b3011479");
    expect(deadLetterId({ ...KEY, subSequenceNumber: 0 })).toBe("d08d979691b149e4c505e226c5a7bdaf");
  });

  it("differs wherever a part of it does, and keeps the parts apart", () => {
    const ids = [
      KEY,
      { ...KEY, streamName: "orders-2" },
      { ...KEY, application: "billing-2" },
      { ...KEY, shardId: "shardId-000000000001" },
      { ...KEY, sequenceNumber: "1" },
      { ...KEY, subSequenceNumber: 0 },
      { ...KEY, subSequenceNumber: 1 },
      { ...KEY, streamName: "a", application: "b,c" },
      { ...KEY, streamName: "a,b", application: "c" },
    ].map(deadLetterId);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("a letter", () => {
  it("has its record's members and a copy of the data, and no member that is not known", () => {
    const page = new TextEncoder().encode("page: an order");
    const letter = letterOf(new TypeError("no such customer"), { data: page.subarray(6) });
    page.fill(0);
    expect(letter).toStrictEqual({
      id: deadLetterId(KEY),
      ...KEY,
      partitionKey: "customer",
      data: new TextEncoder().encode("an order"),
      approximateArrivalTimestamp: ARRIVED,
      attempts: 3,
      firstFailedAt: FAILED,
      reason: "attempts",
      error: { name: "TypeError", message: "no such customer" },
    });
    expect(letterOf(undefined, { partitionKey: undefined })).not.toHaveProperty("partitionKey");
    // A user record of an aggregate may have one without a letter.
    expect(letterOf(undefined, { partitionKey: "" })).toHaveProperty("partitionKey", "");
  });

  it("says how long the stream keeps its record, where the retention is known", () => {
    const source = { streamName: "orders", application: "billing", retentionMs: 86_400_000 };
    const failure = { attempts: 1, firstFailedAt: FAILED, reason: "age", error: "old" } as const;
    const { retainedUntil } = deadLetterOf(source, recordOf(), failure);
    expect(retainedUntil).toStrictEqual(new Date("2026-11-29T09:00:00.001Z"));
  });

  it("has a pointer's form without the data, and the same id", () => {
    const letter = letterOf("no");
    expect(pointerTo(letter)).toStrictEqual({ ...letter, data: undefined });
  });

  it.each([
    ["undefined", undefined, { name: "Error", message: "undefined" }],
    ["a text", "no\nstock", { name: "Error", message: String.raw`no\nstock` }],
    ["a frozen error", Object.freeze(new RangeError("no")), { name: "RangeError", message: "no" }],
    [
      "an error with a code",
      Object.assign(new Error("no stock"), { code: "E_STOCK" }),
      { name: "Error", message: "no stock", code: "E_STOCK" },
    ],
    ["half a pair", new Error("a\ud83d"), { name: "Error", message: "a\ufffd" }],
    [
      "an error that cannot be read",
      Proxy.revocable(new Error("no"), {}),
      { name: "Error", message: expect.stringContaining("proxy") },
    ],
  ])("describes %s that a handler threw", (_, thrown, expected) => {
    expect(letterOf(thrown).error).toStrictEqual(expected);
  });

  it("keeps 1 KiB of a message, cut between characters", () => {
    const { message } = letterOf(new Error("€".repeat(5000))).error;
    const bytes = new TextEncoder().encode(message).byteLength;
    expect(bytes).toBeLessThanOrEqual(1024);
    expect(bytes).toBeGreaterThan(1000);
    expect(message).toMatch(/^€+$/);
  });
});

describe("a letter as JSON", () => {
  it("comes back as it was", () => {
    for (const letter of [
      letterOf(new Error("no")),
      pointerTo(letterOf(new Error("no"))),
      letterOf("no", { data: new Uint8Array(0), subSequenceNumber: 0, partitionKey: "" }),
      { ...letterOf(1), streamARN: "arn:aws:kinesis:x:1:stream/orders", retainedUntil: ARRIVED },
    ]) {
      expect(decodeDeadLetter(encodeDeadLetter(letter))).toStrictEqual(letter);
    }
  });

  it("comes back with the data of the largest record", () => {
    const letter = letterOf("no", { data: new Uint8Array(10 * 2 ** 20).fill(7) });
    const { data } = decodeDeadLetter(encodeDeadLetter(letter));
    expect(Buffer.compare(data!, letter.data!)).toBe(0);
  });

  it("leaves out what a later version has added", () => {
    const letter = letterOf("no");
    const later = { ...(JSON.parse(encodeDeadLetter(letter)) as object), worker: "w-1" };
    expect(decodeDeadLetter(JSON.stringify(later))).toStrictEqual(letter);
  });

  it.each([
    ["text", "not JSON at all"],
    ["null", "null"],
    ["no members", "{}"],
    ["data that are no base64", { data: "a" }],
    ["a time that is none", { firstFailedAt: "yesterday" }],
    ["a number below 0", { attempts: -1 }],
    ["a reason that there is not", { reason: "toString" }],
    ["an error without a message", { error: { name: "Error" } }],
  ])("is refused without being quoted: %s", (_, given) => {
    const good = JSON.parse(encodeDeadLetter(letterOf("no"))) as object;
    const text = typeof given === "string" ? given : JSON.stringify({ ...good, ...given });
    const decode = (): DeadLetter => decodeDeadLetter(text);
    expect(decode).toThrow(expect.objectContaining({ code: "DEAD_LETTERS_CORRUPT" }));
    expect(decode).not.toThrow("not JSON at all");
  });
});

describe("errors that a handler throws to decide by itself", () => {
  it("are known in every copy of the library, and are no KcErrors", () => {
    const [final, later] = [new NonRetriableError("no"), new RetryAfterError(500)];
    expect(NonRetriableError.is(final)).toBe(true);
    expect(RetryAfterError.is(later)).toBe(true);
    expect(RetryAfterError.is(final)).toBe(false);
    expect(NonRetriableError.is({ [Symbol.for("@kc/non-retriable")]: true })).toBe(true);
    expect(RetryAfterError.is({ [Symbol.for("@kc/retry-after")]: true })).toBe(true);
    expect(KcError.is(final) || KcError.is(later)).toBe(false);
  });

  it("carry a message, a cause and a delay", () => {
    const cause = new Error("429");
    expect(new NonRetriableError("no", { cause })).toMatchObject({ message: "no", cause });
    expect(new RetryAfterError(500, "busy", { cause })).toMatchObject({ delayMs: 500, cause });
    expect(new RetryAfterError(500).name).toBe("RetryAfterError");
  });
});
