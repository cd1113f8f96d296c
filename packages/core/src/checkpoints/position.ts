/**
 * Comparison of positions. Pure. A sequence number is a decimal string of up to 56 digits: it does not
 * fit into a JavaScript number, and is compared by length, then as text.
 */

/** A position in a shard: a record, or a user record inside a KPL aggregate. */
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
       * Which records after the position are done too, as printable ASCII text that only core interprets. It
       * is valid only for this position. Absent if none is done or it is not known.
       */
      readonly ahead?: string;
      /**
       * Only for a position inside an aggregate: the last record that is done as a whole, for programs that
       * read only sequence numbers from the store: they repeat the aggregate. If no record of the shard is
       * done, the shard's starting number. Ignored in comparisons. Absent if not known.
       */
      readonly wholeSequenceNumber?: string;
    } & Position)
  | {
      readonly kind: "shard-end";
      /**
       * The shard's last record, for programs that read only sequence numbers from the store. If the shard
       * has no records, its starting number. Ignored in comparisons. Absent if not known.
       */
      readonly sequenceNumber?: string;
    };

/** The end of a shard whose last sequence number is not known. */
export const SHARD_END: Checkpoint = Object.freeze({ kind: "shard-end" });

const SEQUENCE_NUMBER = /^(?:0|[1-9][0-9]{0,127})$/;

/** Whether this text is a sequence number: at most 128 digits without a leading zero. */
export function isSequenceNumber(text: string): boolean {
  return SEQUENCE_NUMBER.test(text);
}

/**
 * The checkpoint that says "everything up to and including this position is done".
 * @param position `wholeSequenceNumber` as in `Checkpoint`; ignored without a `subSequenceNumber`
 * @param ahead as in `Checkpoint`
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

/** Negative, zero or positive if `a` is before, equal to or after `b`. Both must be sequence numbers. */
export function compareSequenceNumbers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The position of a record. */
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

/** The order of positions. Without a sub-sequence number it is the whole record, after all of its user records. */
export function comparePositions(a: Position, b: Position): number {
  return (
    compareSequenceNumbers(a.sequenceNumber, b.sequenceNumber) ||
    compareSub(a.subSequenceNumber, b.subSequenceNumber)
  );
}

/**
 * The order of checkpoints: by position, then by `ahead` as text, where none is before any: a text with more
 * done records compares greater. A shard's end is after every position, and all ends are equal.
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

/** A position in messages: `4959…123` or `4959…123.7`. */
export function formatPosition({ sequenceNumber, subSequenceNumber }: Position): string {
  return subSequenceNumber === undefined
    ? sequenceNumber
    : `${sequenceNumber}.${subSequenceNumber}`;
}

/** A checkpoint in messages: as `formatPosition`, or `shard end`, or `shard end at 4959…123`. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  if (checkpoint.kind === "position") return formatPosition(checkpoint);
  const { sequenceNumber } = checkpoint;
  return sequenceNumber === undefined ? "shard end" : `shard end at ${sequenceNumber}`;
}
