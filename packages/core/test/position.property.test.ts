import fc from "fast-check";
import { expect, test } from "vitest";
import {
  checkpointAt,
  compareCheckpoints,
  compareSequenceNumbers,
  formatCheckpoint,
  isSequenceNumber,
  SHARD_END,
  shardEndAt,
  type Checkpoint,
} from "../src/index.ts";

const sequenceNumber = fc
  .oneof(fc.bigInt({ min: 0n, max: 20n }), fc.bigInt({ min: 0n, max: 10n ** 56n - 1n }))
  .map(String);
const checkpoint: fc.Arbitrary<Checkpoint> = fc.oneof(
  { weight: 1, arbitrary: fc.option(sequenceNumber, { nil: undefined }).map(shardEndAt) },
  {
    weight: 9,
    arbitrary: fc
      .record(
        { sequenceNumber, subSequenceNumber: fc.nat({ max: 3 }) },
        { requiredKeys: ["sequenceNumber"] },
      )
      .map(checkpointAt),
  },
);

test("sequence numbers compare as the integers that they are", () => {
  fc.assert(
    fc.property(sequenceNumber, sequenceNumber, (a, b) => {
      const difference = BigInt(a) - BigInt(b);
      const sign = difference < 0n ? -1 : difference > 0n ? 1 : 0;
      expect(Math.sign(compareSequenceNumbers(a, b))).toBe(sign);
    }),
  );
});

test("a sequence number is digits without a leading zero", () => {
  fc.assert(fc.property(sequenceNumber, isSequenceNumber));
  for (const text of ["", "01", "-1", "1.5", "1e5", " 1", "1\n", "x", "9".repeat(129)]) {
    expect([text, isSequenceNumber(text)]).toEqual([text, false]);
  }
});

/** All ends are the same, whatever number they carry. */
const ofEnd = (text: string): string => text.replace(/^shard end at \d+$/, "shard end");

test("checkpoints are in one total order", () => {
  fc.assert(
    fc.property(checkpoint, checkpoint, checkpoint, (a, b, c) => {
      const order = (x: Checkpoint, y: Checkpoint): number => Math.sign(compareCheckpoints(x, y));
      expect(order(a, a)).toBe(0);
      expect(order(a, b) + order(b, a)).toBe(0);
      if (order(a, b) <= 0 && order(b, c) <= 0) expect(order(a, c)).toBeLessThanOrEqual(0);
      if (order(a, b) === 0) expect(ofEnd(formatCheckpoint(a))).toBe(ofEnd(formatCheckpoint(b)));
    }),
  );
});

test("a shard's end comes after every number, a whole record after its user records", () => {
  fc.assert(
    fc.property(sequenceNumber, fc.nat(), fc.nat(), (number, i, j) => {
      const whole = checkpointAt({ sequenceNumber: number });
      const part = (sub: number): Checkpoint =>
        checkpointAt({ sequenceNumber: number, subSequenceNumber: sub });
      expect(compareCheckpoints(whole, SHARD_END)).toBeLessThan(0);
      expect(compareCheckpoints(part(i), whole)).toBeLessThan(0);
      expect(Math.sign(compareCheckpoints(part(i), part(j)))).toBe(Math.sign(i - j));
      const next = checkpointAt({ sequenceNumber: String(BigInt(number) + 1n) });
      expect(compareCheckpoints(whole, next)).toBeLessThan(0);
    }),
  );
});
