import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { halvesOf, outcomeOf, type BatchOutcome } from "../src/delivery/batch-outcome.ts";
import { ConsumerRecord } from "../src/index.ts";
import type { Ordering } from "../src/options/delivery-options.ts";

function recordOf(sequence: number, sub?: number, key = ""): ConsumerRecord {
  return new ConsumerRecord({
    data: new Uint8Array(0),
    partitionKey: key,
    sequenceNumber: String(sequence),
    subSequenceNumber: sub,
    approximateArrivalTimestamp: new Date(0),
    shardId: "shardId-000000000000",
    millisBehindLatest: 0,
    encryptionType: undefined,
  });
}

const keyOf = ({ partitionKey }: ConsumerRecord): string | undefined =>
  partitionKey === "" ? undefined : partitionKey;

/** Records of which some are aggregates of up to three. */
const batches: fc.Arbitrary<readonly ConsumerRecord[]> = fc
  .array(
    fc.record({
      subs: fc.constantFrom(0, 0, 1, 3),
      keys: fc.tuple(...[1, 2, 3].map(() => fc.constantFrom("", "a", "b", "c"))),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((puts) =>
    puts.flatMap(({ subs, keys }, sequence) =>
      subs === 0
        ? [recordOf(sequence, undefined, keys[0])]
        : keys.slice(0, subs).map((key, sub) => recordOf(sequence, sub, key)),
    ),
  );
const orderings = fc.constantFrom<Ordering>("key", "shard", "none");

/** A batch, and the places of some of its records. */
const failing = batches.chain((records) =>
  fc.record({
    records: fc.constant(records),
    failed: fc.subarray(records.map((_, place) => place)),
    ordering: orderings,
  }),
);

const identifierOf = ({ sequenceNumber, subSequenceNumber }: ConsumerRecord): string =>
  subSequenceNumber === undefined ? sequenceNumber : `${sequenceNumber}:${subSequenceNumber}`;

function answerOf(identifiers: readonly unknown[]): unknown {
  return { batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) };
}

const sorted = ({ done, failed, behind }: BatchOutcome): readonly number[] =>
  [...done, ...failed, ...behind].toSorted((a, b) => a - b);

describe("what a partial answer means", () => {
  it("every record is in one list, and the lists are in order", () => {
    fc.assert(
      fc.property(failing, ({ records, failed, ordering }) => {
        const answer = answerOf(failed.map((place) => identifierOf(records[place]!)));
        const outcome = outcomeOf(records, answer, ordering, keyOf);
        expect(sorted(outcome)).toStrictEqual(records.map((_, place) => place));
        for (const list of Object.values(outcome) as number[][]) {
          expect(list).toStrictEqual(list.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  it("in the order of the shard everything from the first failed record on comes again", () => {
    fc.assert(
      fc.property(failing, ({ records, failed }) => {
        const answer = answerOf(failed.map((place) => identifierOf(records[place]!)));
        const first = Math.min(records.length, ...failed);
        expect(outcomeOf(records, answer, "shard", keyOf)).toStrictEqual({
          done: records.map((_, place) => place).slice(0, first),
          failed: failed.length === 0 ? [] : [first],
          behind: records.map((_, place) => place).slice(first + 1),
        });
      }),
    );
  });

  it("in the order of keys no record is done that comes after a failed one of its key", () => {
    fc.assert(
      fc.property(failing, ({ records, failed }) => {
        const answer = answerOf(failed.map((place) => identifierOf(records[place]!)));
        const outcome = outcomeOf(records, answer, "key", keyOf);
        const isFailed = new Set(failed);
        for (const [place, record] of records.entries()) {
          const key = keyOf(record);
          const earlier = failed.some(
            (other) => other < place && key !== undefined && keyOf(records[other]!) === key,
          );
          const list = earlier ? "behind" : isFailed.has(place) ? "failed" : "done";
          expect(outcome[list], `${place} is ${list}`).toContain(place);
        }
      }),
    );
  });

  it("in no order the failed records come again, and no others", () => {
    fc.assert(
      fc.property(failing, ({ records, failed }) => {
        const answer = answerOf(failed.map((place) => identifierOf(records[place]!)));
        const { behind, ...outcome } = outcomeOf(records, answer, "none", keyOf);
        expect(behind).toStrictEqual([]);
        expect(outcome.failed).toStrictEqual(failed);
      }),
    );
  });

  it("a bare sequence number names every user record of its aggregate", () => {
    const records = [recordOf(1), recordOf(2, 0), recordOf(2, 1), recordOf(3, 0)];
    const outcome = outcomeOf(records, answerOf(["2"]), "none", keyOf);
    expect(outcome).toStrictEqual({ done: [0, 3], failed: [1, 2], behind: [] });
  });

  it("a number with its sub-sequence number names one user record", () => {
    const records = [recordOf(1), recordOf(2, 0), recordOf(2, 1), recordOf(3, 0)];
    const outcome = outcomeOf(records, answerOf(["2:1"]), "none", keyOf);
    expect(outcome).toStrictEqual({ done: [0, 1, 3], failed: [2], behind: [] });
  });

  it("records without a key have no order among each other", () => {
    const records = [recordOf(1), recordOf(2), recordOf(3, undefined, "a")];
    const outcome = outcomeOf(records, answerOf(["1"]), "key", keyOf);
    expect(outcome).toStrictEqual({ done: [1, 2], failed: [0], behind: [] });
  });

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 7],
    ["a text", "batchItemFailures"],
    ["what Promise.all made", [1, 2]],
    ["an object", { ok: true }],
    ["no failures", { batchItemFailures: [] }],
    ["null failures", { batchItemFailures: null }],
    ["undefined failures", { batchItemFailures: undefined }],
  ])("%s means that all are done", (_, answer) => {
    const outcome = outcomeOf([recordOf(1), recordOf(2)], answer, "shard", keyOf);
    expect(outcome).toStrictEqual({ done: [0, 1], failed: [], behind: [] });
  });

  it.each([
    ["an identifier of another batch", answerOf(["1", "99"])],
    ["an empty identifier", answerOf([""])],
    ["a null identifier", answerOf([null])],
    ["a number for an identifier", answerOf([1])],
    ["an item without an identifier", { batchItemFailures: [{ id: "1" }] }],
    ["an item of null", { batchItemFailures: [null] }],
    ["a list of texts", { batchItemFailures: ["1"] }],
    ["no list", { batchItemFailures: "1" }],
    ["a sub-sequence number that is not there", answerOf(["1:0"])],
  ])("%s fails the whole batch, since nobody knows what was meant", (_, answer) => {
    const outcome = (): BatchOutcome =>
      outcomeOf([recordOf(1), recordOf(2)], answer, "none", keyOf);
    expect(outcome).toThrow(expect.objectContaining({ name: "BatchAnswerError" }));
  });
});

it("halves have every record of their batch, in order, and end at records that stand alone", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 10_000 }), (count) => {
      const batch = Array.from({ length: count }, (_, index) => index);
      const [one, other] = halvesOf(batch);
      expect([...one!, ...other!]).toStrictEqual(batch);
      expect(Math.abs(one!.length - other!.length)).toBeLessThanOrEqual(1);
    }),
  );
});
