import type { ConsumerRecord } from "../../record.ts";

/**
 * The result of a batch handler, in the format of AWS Lambda's partial batch response. Any other value, and
 * an empty or absent list, means that all records are done.
 */
export interface BatchAnswer {
  readonly batchItemFailures?: readonly BatchItemFailure[] | null;
}

export interface BatchItemFailure {
  /**
   * The sequence number of a failed record. For a KPL aggregate it names all of its user records in the
   * batch; `SEQUENCE:SUB` names one of them.
   */
  readonly itemIdentifier: string;
}

/** The records of a batch, by their indices in it. Each is in exactly one list, in order. */
export interface BatchOutcome {
  readonly done: readonly number[];
  /** Failed, and the first of their lane to fail: given up when no attempt is left. */
  readonly failed: readonly number[];
  /** Behind a failed record of their lane: retried in any case, to keep the order. */
  readonly behind: readonly number[];
}

/** The lane of the record at an index; undefined = a lane of its own. */
export type LaneAt = (place: number) => string | undefined;

/** The error of a record that the handler's result names in `batchItemFailures`. */
export class BatchItemError extends Error {
  constructor() {
    super("the batch handler named the record in batchItemFailures");
    this.name = "BatchItemError";
  }
}

/** The handler's result is invalid, such as one that names a record of another batch. The whole batch has failed. */
export class BatchAnswerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BatchAnswerError";
  }
}

/**
 * Interprets the result of a batch handler. A failed record is delivered again together with the later
 * records of its lane: in shard order everything from the first failed record on, as in Lambda; in key order
 * the later records of its key; without ordering only itself.
 * @throws BatchAnswerError if the result is invalid: then no record is done
 */
export function outcomeOf(
  records: readonly ConsumerRecord[],
  answer: unknown,
  laneAt: LaneAt,
): BatchOutcome {
  const named = failuresIn(records, answer);
  const outcome = { done: [] as number[], failed: [] as number[], behind: [] as number[] };
  const failedLanes = new Set<string>();
  for (let place = 0; place < records.length; place += 1) {
    const lane = named.size === 0 ? undefined : laneAt(place);
    if (lane !== undefined && failedLanes.has(lane)) outcome.behind.push(place);
    else if (!named.has(place)) outcome.done.push(place);
    else {
      outcome.failed.push(place);
      if (lane !== undefined) failedLanes.add(lane);
    }
  }
  return outcome;
}

/**
 * Splits a batch of several records into two halves of indices. `inOrder` is true if all records are of one
 * lane: then the second half must wait for the first.
 */
export function halvesOf(
  count: number,
  laneAt: LaneAt,
): { readonly halves: readonly (readonly number[])[]; readonly inOrder: boolean } {
  const lanes = lanesOf(count, laneAt);
  const places = Array.from({ length: count }, (_, place) => place);
  if (lanes.length === 1) {
    const middle = Math.ceil(count / 2);
    return { halves: [places.slice(0, middle), places.slice(middle)], inOrder: true };
  }
  const one: number[] = [];
  const other: number[] = [];
  // The last lane always goes to the second half, so that neither half is empty.
  for (const [index, lane] of lanes.entries()) {
    const isFirst = index === 0 || (one.length < count / 2 && index < lanes.length - 1);
    (isFirst ? one : other).push(...lane);
  }
  const ordered = [one, other].map((half) => half.toSorted((a, b) => a - b));
  return { halves: ordered, inOrder: false };
}

/** The indices of each lane's records. The lanes are in the order of their first records. */
function lanesOf(count: number, laneAt: LaneAt): readonly (readonly number[])[] {
  const lanes: number[][] = [];
  const byName = new Map<string, number[]>();
  for (let place = 0; place < count; place += 1) {
    const name = laneAt(place);
    const lane = name === undefined ? undefined : byName.get(name);
    if (lane !== undefined) lane.push(place);
    else {
      lanes.push([place]);
      if (name !== undefined) byName.set(name, lanes.at(-1)!);
    }
  }
  return lanes;
}

/** The indices of the records that the result names. */
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
