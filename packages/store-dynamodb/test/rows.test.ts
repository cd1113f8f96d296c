import { compareCheckpoints, SHARD_END, shardEndAt, type Checkpoint } from "@kc/core";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { orderedText, shardItem, shardStateOf } from "../src/rows.ts";

const digits = fc
  .bigInt({ min: 0n, max: 10n ** 128n - 1n })
  .chain((max) => fc.bigInt({ min: 0n, max }));
const position = fc
  .record({
    sequenceNumber: fc.oneof(digits, fc.constantFrom(0n, 9n, 10n, 99n, 100n)).map(String),
    subSequenceNumber: fc.option(fc.oneof(fc.maxSafeNat(), fc.nat({ max: 12 })), {
      nil: undefined,
    }),
  })
  .map(({ sequenceNumber, subSequenceNumber }): Checkpoint =>
    subSequenceNumber === undefined
      ? { kind: "position", sequenceNumber }
      : { kind: "position", sequenceNumber, subSequenceNumber },
  );
const checkpoint = fc.oneof({ weight: 9, arbitrary: position }, fc.constant(SHARD_END));

describe("a checkpoint as text", () => {
  it("has core's order, byte by byte, as DynamoDB compares", () => {
    const order = (a: Checkpoint, b: Checkpoint): number =>
      Buffer.compare(Buffer.from(orderedText(a)), Buffer.from(orderedText(b)));
    fc.assert(
      fc.property(checkpoint, checkpoint, (a, b) => {
        expect(Math.sign(order(a, b))).toBe(Math.sign(compareCheckpoints(a, b)));
      }),
      { numRuns: 2000 },
    );
    // Neighbours, which chance does not find.
    fc.assert(
      fc.property(position, fc.nat({ max: 11 }), fc.nat({ max: 11 }), (a, i, j) => {
        const [one, other] = [i, j].map((subSequenceNumber) => ({ ...a, subSequenceNumber }));
        expect(Math.sign(order(one!, other!))).toBe(Math.sign(i - j));
      }),
    );
  });

  it("comes back from an item as it was", () => {
    fc.assert(
      fc.property(checkpoint, (stored) => {
        expect(shardStateOf(shardItem(stored)).checkpoint).toStrictEqual(stored);
      }),
    );
  });
});

describe("a shard's item", () => {
  const ours = { kc_at: { S: "7" }, kc_checkpoint: { S: "001:7.~" }, kc_writer: { S: "free" } };
  const go = { kind: "position", sequenceNumber: "7" };

  it.each([
    ["of Go", { sequence_number: { S: "7" } }, go, undefined],
    ["of ours", { sequence_number: { S: "7" }, ...ours }, go, "free"],
    [
      "with a sub-sequence number",
      { sequence_number: { S: "7" }, ...ours, kc_checkpoint: { S: "001:7.0000000000000003" } },
      { ...go, subSequenceNumber: 3 },
      "free",
    ],
    [
      "with what is done beyond it",
      { sequence_number: { S: "7" }, ...ours, kc_ahead: { S: "7:0001~" } },
      { ...go, ahead: "0001~" },
      "free",
    ],
    [
      "that the version before has moved: what was done beyond another position is none of it",
      { sequence_number: { S: "7" }, ...ours, kc_ahead: { S: "6:0001~" } },
      go,
      "free",
    ],
    [
      "at its end",
      { sequence_number: { S: "7" }, ...ours, kc_checkpoint: { S: "~" } },
      shardEndAt("7"),
      "free",
    ],
    [
      "whose number moved without ours",
      { sequence_number: { S: "8" }, ...ours, kc_checkpoint: { S: "~" } },
      { ...go, sequenceNumber: "8" },
      undefined,
    ],
    [
      "inside an aggregate, as it is written: beside the last whole record",
      {
        sequence_number: { S: "6" },
        ...ours,
        kc_at: undefined!,
        kc_whole: { S: "6" },
        kc_checkpoint: { S: "001:7.0000000000000003" },
      },
      { ...go, subSequenceNumber: 3, wholeSequenceNumber: "6" },
      "free",
    ],
    [
      "whose kc_whole is what the version before has left",
      { sequence_number: { S: "7" }, ...ours, kc_whole: { S: "6" } },
      go,
      "free",
    ],
    [
      "whose kc_at is gone",
      { sequence_number: { S: "7" }, ...ours, kc_at: undefined! },
      go,
      undefined,
    ],
    [
      "whose kc_writer is gone",
      { sequence_number: { S: "7" }, ...ours, kc_writer: undefined! },
      go,
      undefined,
    ],
    ["that was claimed and never written", { kc_writer: { S: "1:a#1" } }, undefined, undefined],
  ])("%s", (_, item, stored, writer) => {
    expect(shardStateOf(item)).toStrictEqual({ checkpoint: stored, writer });
  });

  it.each([
    ["a number that is none", { sequence_number: { S: "SHARD_END" } }],
    ["a number with a zero before it", { sequence_number: { S: "07" } }],
    ["a number of another type", { sequence_number: { N: "7" } }],
    ["a text that is none", { sequence_number: { S: "7" }, ...ours, kc_checkpoint: { S: "7" } }],
    [
      "no user record in the text beside kc_whole",
      { sequence_number: { S: "7" }, ...ours, kc_at: undefined!, kc_whole: { S: "7" } },
    ],
    [
      "another number in the text",
      { sequence_number: { S: "7" }, ...ours, kc_checkpoint: { S: "001:8.~" } },
    ],
  ])("with %s is corrupt", (_, attributes) => {
    const item = { shard_id: { S: "shardId-1" }, ...attributes };
    expect(() => shardStateOf(item)).toThrow(
      expect.objectContaining({
        code: "STORE_CORRUPT",
        retryable: false,
        message: expect.stringContaining("shardId-1"),
      }),
    );
  });
});
