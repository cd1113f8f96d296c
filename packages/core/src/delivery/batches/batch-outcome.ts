import type { ConsumerRecord } from "../../record.ts";

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

/** In which line the record at a place stands. Undefined = it stands alone. */
export type LineAt = (place: number) => string | undefined;

/** What a record has failed with that an answer names. */
export class BatchItemError extends Error {
  constructor() {
    super("the batch handler named the record in batchItemFailures");
    this.name = "BatchItemError";
  }
}

/** An answer that names no record of its batch. The whole batch has failed. */
export class BatchAnswerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BatchAnswerError";
  }
}

/**
 * What an answer means. A failed record comes again, and with it the later ones of its line: in the order
 * of the shard everything from the first failed record on, as with Lambda; in the order of keys the later
 * ones of its key; in no order it alone.
 * @throws BatchAnswerError if the answer is not to be understood: then nothing is done
 */
export function outcomeOf(
  records: readonly ConsumerRecord[],
  answer: unknown,
  lineAt: LineAt,
): BatchOutcome {
  const named = failuresIn(records, answer);
  const outcome = { done: [] as number[], failed: [] as number[], behind: [] as number[] };
  const failedLines = new Set<string>();
  for (let place = 0; place < records.length; place += 1) {
    const line = named.size === 0 ? undefined : lineAt(place);
    if (line !== undefined && failedLines.has(line)) outcome.behind.push(place);
    else if (!named.has(place)) outcome.done.push(place);
    else {
      outcome.failed.push(place);
      if (line !== undefined) failedLines.add(line);
    }
  }
  return outcome;
}

/**
 * A batch of several records in two, by their places. `inOrder` = all are of one line, and the second half
 * has to wait for the first one.
 */
export function halvesOf(
  count: number,
  lineAt: LineAt,
): { readonly halves: readonly (readonly number[])[]; readonly inOrder: boolean } {
  const lines = linesOf(count, lineAt);
  const places = Array.from({ length: count }, (_, place) => place);
  if (lines.length === 1) {
    const middle = Math.ceil(count / 2);
    return { halves: [places.slice(0, middle), places.slice(middle)], inOrder: true };
  }
  const one: number[] = [];
  const other: number[] = [];
  // The last line goes to the second half in any case.
  for (const [index, line] of lines.entries()) {
    const isFirst = index === 0 || (one.length < count / 2 && index < lines.length - 1);
    (isFirst ? one : other).push(...line);
  }
  const ordered = [one, other].map((half) => half.toSorted((a, b) => a - b));
  return { halves: ordered, inOrder: false };
}

/** The places of each line, in the order of their first records. */
function linesOf(count: number, lineAt: LineAt): readonly (readonly number[])[] {
  const lines: number[][] = [];
  const byName = new Map<string, number[]>();
  for (let place = 0; place < count; place += 1) {
    const name = lineAt(place);
    const line = name === undefined ? undefined : byName.get(name);
    if (line !== undefined) line.push(place);
    else {
      lines.push([place]);
      if (name !== undefined) byName.set(name, lines.at(-1)!);
    }
  }
  return lines;
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
