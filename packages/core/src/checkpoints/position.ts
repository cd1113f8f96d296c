/**
 * Position arithmetic, pure. A sequence number is a decimal string of up to 56 digits: it does not
 * fit a JavaScript number, and is compared by length, then by text.
 */

/** A place in a shard: a record, or a user record inside a KPL aggregate. */
export interface Position {
  readonly sequenceNumber: string;
  /** Index of the user record inside its aggregate; absent for an ordinary record. */
  readonly subSequenceNumber?: number;
}

/** The last position whose work is done, or the fact that the shard was read to its end. */
export type Checkpoint =
  | ({
      readonly kind: "position";
      /**
       * Which records after the position are done too: a text of printable ASCII that core writes and
       * reads. It belongs to this very position. Absent = none is, or it is not known.
       */
      readonly ahead?: string;
      /**
       * Only of a position inside an aggregate: the last record that is done as a whole, for readers of
       * the store that know sequence numbers alone. They repeat the aggregate then. A shard none of whose
       * records is done has its first number here. It takes no part in comparisons. Absent = not known.
       */
      readonly wholeSequenceNumber?: string;
    } & Position)
  | {
      readonly kind: "shard-end";
      /**
       * The shard's last record, for readers of the store that know numbers alone: a shard without
       * records has its first number here. It takes no part in comparisons. Absent = not known.
       */
      readonly sequenceNumber?: string;
    };

/** A shard's end whose last number is not known. */
export const SHARD_END: Checkpoint = Object.freeze({ kind: "shard-end" });

const SEQUENCE_NUMBER = /^(?:0|[1-9][0-9]{0,127})$/;

/** Is this text a sequence number: digits without a leading zero, at most 128 of them? */
export function isSequenceNumber(text: string): boolean {
  return SEQUENCE_NUMBER.test(text);
}

/**
 * The checkpoint that says "everything up to and including this position is done".
 * @param position with `wholeSequenceNumber` as in `Checkpoint`; it is left out where the position is no part of a record
 * @param ahead what else is done: see `Checkpoint`
 */
export function checkpointAt(
  position: Position & { readonly wholeSequenceNumber?: string | undefined },
  ahead?: string,
): Checkpoint {
  const { sequenceNumber, subSequenceNumber, wholeSequenceNumber: whole } = position;
  const inside = subSequenceNumber === undefined ? {} : { subSequenceNumber };
  const hasWhole = subSequenceNumber !== undefined && whole !== undefined;
  return Object.freeze({
    kind: "position",
    sequenceNumber,
    ...inside,
    ...(hasWhole ? { wholeSequenceNumber: whole } : {}),
    ...(ahead === undefined ? {} : { ahead }),
  });
}

/** The checkpoint that says "the shard was read to its end, and this was its last record". */
export function shardEndAt(sequenceNumber: string | undefined): Checkpoint {
  return sequenceNumber === undefined
    ? SHARD_END
    : Object.freeze({ kind: "shard-end", sequenceNumber });
}

/** Negative, zero or positive, as `a` lies before, at or after `b`. Both must be sequence numbers. */
export function compareSequenceNumbers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** A record's own position. */
export function positionOf({
  sequenceNumber,
  subSequenceNumber,
}: {
  readonly sequenceNumber: string;
  readonly subSequenceNumber?: number | undefined;
}): Position {
  return subSequenceNumber === undefined
    ? { sequenceNumber }
    : { sequenceNumber, subSequenceNumber };
}

/** Order of positions. No sub-sequence number means the whole record: it comes after its user records. */
export function comparePositions(a: Position, b: Position): number {
  return (
    compareSequenceNumbers(a.sequenceNumber, b.sequenceNumber) ||
    compareSub(a.subSequenceNumber, b.subSequenceNumber)
  );
}

/**
 * Order of checkpoints: by position; at one position by `ahead`, byte by byte, and none comes before
 * any: more records done make a greater text. A shard's end comes after every position, and all ends
 * are the same.
 */
export function compareCheckpoints(a: Checkpoint, b: Checkpoint): number {
  if (a.kind === "shard-end" || b.kind === "shard-end") {
    return Number(a.kind === "shard-end") - Number(b.kind === "shard-end");
  }
  return comparePositions(a, b) || compareText(a.ahead ?? "", b.ahead ?? "");
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function compareSub(a: number | undefined, b: number | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a - b;
}

/** For messages: `4959…123` or `4959…123.7`. */
export function formatPosition({ sequenceNumber, subSequenceNumber }: Position): string {
  return subSequenceNumber === undefined
    ? sequenceNumber
    : `${sequenceNumber}.${subSequenceNumber}`;
}

/** For messages and logs: as `formatPosition`, `shard end` or `shard end at 4959…123`. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  if (checkpoint.kind === "position") return formatPosition(checkpoint);
  const { sequenceNumber } = checkpoint;
  return sequenceNumber === undefined ? "shard end" : `shard end at ${sequenceNumber}`;
}
