import type { ConsumerRecord } from "../record.ts";
import type { Ordering } from "../options/delivery-options.ts";

/**
 * What a batch handler may answer with; it is Lambda's own. Anything without `batchItemFailures`, or
 * with an empty list, means that all records are done.
 */
export interface BatchAnswer {
  readonly batchItemFailures?: readonly BatchItemFailure[] | null;
}

export interface BatchItemFailure {
  /**
   * A record's sequence number. The one of a KPL aggregate names all of its records in the batch;
   * `SEQUENCE:SUB` names one.
   */
  readonly itemIdentifier: string;
}

/** The records of a batch, by their places in it, each in one list, in order. */
export interface BatchOutcome {
  readonly done: readonly number[];
  /** Failed, and first in their line: what is given up when no attempt is left. */
  readonly failed: readonly number[];
  /** Behind a failed one of their line: tried again in any case, for the sake of the order. */
  readonly behind: readonly number[];
}

/** In which line a record stands. Undefined = it stands alone. */
export type LineOf = (record: ConsumerRecord) => string | undefined;

/** An answer that names no record of its batch. The whole batch has failed. */
export class BatchAnswerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BatchAnswerError";
  }
}

/**
 * What an answer means. In the order of a shard, everything from the first failed record on is tried
 * again, as Lambda does; in the order of keys, the failed records and the later ones of their keys; in
 * no order, the failed ones.
 * @throws BatchAnswerError if the answer is not to be understood: then nothing is done
 */
export function outcomeOf(
  records: readonly ConsumerRecord[],
  answer: unknown,
  ordering: Ordering,
  keyOf: LineOf,
): BatchOutcome {
  const named = failuresIn(records, answer);
  const outcome = { done: [] as number[], failed: [] as number[], behind: [] as number[] };
  const lines = new Set<string>();
  records.forEach((record, place) => {
    const line =
      ordering === "none" || named.size === 0 ? undefined : lineOf(record, ordering, keyOf);
    const waits = line !== undefined && lines.has(line);
    if (waits) outcome.behind.push(place);
    else if (!named.has(place)) outcome.done.push(place);
    else {
      outcome.failed.push(place);
      if (line !== undefined) lines.add(line);
    }
  });
  return outcome;
}

/** The batch's halves, in order, if it can be halved. */
export function halvesOf<Item>(batch: readonly Item[]): readonly (readonly Item[])[] {
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)];
}

function lineOf(record: ConsumerRecord, ordering: Ordering, keyOf: LineOf): string | undefined {
  return ordering === "shard" ? "" : keyOf(record);
}

/** The places of the records that the answer names. */
function failuresIn(records: readonly ConsumerRecord[], answer: unknown): ReadonlySet<number> {
  const items = itemsOf(answer);
  const failed = new Set<number>();
  if (items.length === 0) return failed;
  const places = placesByIdentifier(records);
  for (const item of items) {
    const identifier = (item as Partial<BatchItemFailure> | null | undefined)?.itemIdentifier;
    const named = identifier === undefined ? undefined : places.get(identifier);
    if (named === undefined) {
      throw new BatchAnswerError(
        "an itemIdentifier of batchItemFailures names no record of the batch",
      );
    }
    for (const place of named) failed.add(place);
  }
  return failed;
}

function placesByIdentifier(
  records: readonly ConsumerRecord[],
): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  const add = (identifier: string, place: number): void => {
    const named = places.get(identifier);
    if (named === undefined) places.set(identifier, [place]);
    else named.push(place);
  };
  records.forEach(({ sequenceNumber, subSequenceNumber }, place) => {
    add(sequenceNumber, place);
    if (subSequenceNumber !== undefined) add(`${sequenceNumber}:${subSequenceNumber}`, place);
  });
  return places;
}

function itemsOf(answer: unknown): readonly unknown[] {
  if (typeof answer !== "object" || answer === null || !("batchItemFailures" in answer)) return [];
  const { batchItemFailures: items } = answer;
  if (items === undefined || items === null) return [];
  if (Array.isArray(items)) return items;
  throw new BatchAnswerError("batchItemFailures is not a list");
}
