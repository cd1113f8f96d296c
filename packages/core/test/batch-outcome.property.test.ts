import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { halvesOf, outcomeOf, type BatchOutcome } from "../src/delivery/batches/batch-outcome.ts";
import { ConsumerRecord } from "../src/index.ts";

function recordOf(sequence: number, sub?: number, key = ""): ConsumerRecord {
  return new ConsumerRecord({
    data: new Uint8Array(0),
    partitionKey: key,
    sequenceNumber: String(sequence),
    subSequenceNumber: sub,
    approximateArrivalMs: 0,
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

type Ordering = "key" | "shard" | "none";
const orderings = fc.constantFrom<Ordering>("key", "shard", "none");

function outcomeIn(
  ordering: Ordering,
  records: readonly ConsumerRecord[],
  answer: unknown,
): BatchOutcome {
  const lines = { key: keyOf, shard: () => "", none: () => undefined };
  return outcomeOf(records, answer, (place) => lines[ordering](records[place]!));
}

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
        const outcome = outcomeIn(ordering, records, answer);
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
        expect(outcomeIn("shard", records, answer)).toStrictEqual({
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
        const outcome = outcomeIn("key", records, answer);
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
        const { behind, ...outcome } = outcomeIn("none", records, answer);
        expect(behind).toStrictEqual([]);
        expect(outcome.failed).toStrictEqual(failed);
      }),
    );
  });

  it("a bare sequence number names every user record of its aggregate", () => {
    const records = [recordOf(1), recordOf(2, 0), recordOf(2, 1), recordOf(3, 0)];
    const outcome = outcomeIn("none", records, answerOf(["2"]));
    expect(outcome).toStrictEqual({ done: [0, 3], failed: [1, 2], behind: [] });
  });

  it("a number with its sub-sequence number names one user record", () => {
    const records = [recordOf(1), recordOf(2, 0), recordOf(2, 1), recordOf(3, 0)];
    const outcome = outcomeIn("none", records, answerOf(["2:1"]));
    expect(outcome).toStrictEqual({ done: [0, 1, 3], failed: [2], behind: [] });
  });

  it("records without a key have no order among each other", () => {
    const records = [recordOf(1), recordOf(2), recordOf(3, undefined, "a")];
    const outcome = outcomeIn("key", records, answerOf(["1"]));
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
    const outcome = outcomeIn("shard", [recordOf(1), recordOf(2)], answer);
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
    const outcome = (): BatchOutcome => outcomeIn("none", [recordOf(1), recordOf(2)], answer);
    expect(outcome).toThrow(expect.objectContaining({ name: "BatchAnswerError" }));
  });
});

const lineLists = fc.array(fc.constantFrom("a", "b", undefined), { minLength: 2, maxLength: 40 });

it("halves have every record of their batch, in order, and neither is empty", () => {
  fc.assert(
    fc.property(lineLists, (lines) => {
      const { halves } = halvesOf(lines.length, (place) => lines[place]);
      expect(halves.flat().toSorted((a, b) => a - b)).toStrictEqual([...lines.keys()]);
      for (const half of halves) {
        expect(half.length).toBeGreaterThan(0);
        expect(half).toStrictEqual(half.toSorted((a, b) => a - b));
      }
    }),
  );
});

it("halves that are tried side by side have no line in common", () => {
  fc.assert(
    fc.property(lineLists, (lines) => {
      const { halves, inOrder } = halvesOf(lines.length, (place) => lines[place]);
      const [one, other] = halves.map((half) => new Set(half.map((place) => lines[place])));
      const common = [...one!].filter((line) => line !== undefined && other!.has(line));
      if (inOrder) expect(new Set(lines).size).toBe(1);
      else expect(common).toStrictEqual([]);
    }),
  );
});

it("a batch of one line, or of records without one, is cut in the middle", () => {
  expect(halvesOf(5, () => "a")).toStrictEqual({
    halves: [
      [0, 1, 2],
      [3, 4],
    ],
    inOrder: true,
  });
  expect(halvesOf(5, () => undefined)).toStrictEqual({
    halves: [
      [0, 1, 2],
      [3, 4],
    ],
    inOrder: false,
  });
});
