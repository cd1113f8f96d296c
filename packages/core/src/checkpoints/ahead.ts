/**
 * What is done beyond the watermark, pure. Records finish in any order, and a checkpoint's position is
 * the last one that is done with all before it. Its `ahead` says which of the records after it are
 * done too, so that they are not delivered again.
 *
 * It is kept by sequence number, not by count: the stretch from the watermark to the furthest record
 * that is done falls into runs of records that are done and of records that are not, and a run's
 * borders are compared with a record's own number. A record that is not known to be done is never
 * taken for one, whatever was trimmed, and however aggregates are taken apart meanwhile.
 */

/** Numbers from `first` to `last`. */
export interface Interval {
  readonly first: number;
  readonly last: number;
}

/** Records in a row. */
export interface Run {
  readonly first: bigint;
  readonly last: bigint;
  /** All of them, none, or these user records of one aggregate, in order. */
  readonly done: boolean | readonly Interval[];
}

/** A run, and how many user records are known to be done in it. */
export interface CountedRun extends Run {
  readonly count: number;
}

/** Runs in order, and records within them that are known by themselves, each a run of one. */
export interface CountedRuns {
  readonly runs: readonly CountedRun[];
  readonly lone: readonly CountedRun[];
}

/** What a checkpoint says of the records after it. */
export class Ahead {
  /** User records that are done. */
  readonly count: number;
  readonly #runs: readonly Run[];
  /** Records of which more is done than of their runs. */
  readonly #lone: ReadonlyMap<bigint, Run>;

  constructor(count: number, runs: readonly Run[], lone: readonly Run[]) {
    this.count = count;
    this.#runs = runs;
    this.#lone = new Map(lone.map((run) => [run.first, run]));
  }

  /** Is nothing known of the records after this one? */
  isBehind(sequenceNumber: string): boolean {
    return BigInt(sequenceNumber) > this.#runs.at(-1)!.last;
  }

  /** Is this record done? */
  includes(sequenceNumber: string, subSequenceNumber: number | undefined): boolean {
    const done = this.doneAt(sequenceNumber) ?? false;
    if (typeof done === "boolean") return done;
    if (subSequenceNumber === undefined) return false;
    return done.some(({ first, last }) => first <= subSequenceNumber && subSequenceNumber <= last);
  }

  /** Is this record done, or which of its user records are? Undefined = nothing is known of it. */
  doneAt(sequenceNumber: string): Run["done"] | undefined {
    return (this.#lone.get(BigInt(sequenceNumber)) ?? this.runAt(sequenceNumber))?.done;
  }

  /** The records behind this one that are known by themselves. */
  loneAfter(sequenceNumber: bigint): readonly Run[] {
    return [...this.#lone.values()].filter(({ first }) => first > sequenceNumber);
  }

  /** The runs behind this record. */
  after(sequenceNumber: bigint): readonly Run[] {
    const next = sequenceNumber + 1n;
    return this.#runs.flatMap((run) => {
      if (run.last < next) return [];
      if (run.first >= next) return [run];
      return [{ ...run, first: next, done: run.done === true }];
    });
  }

  /** The run in which this record lies; undefined = nothing is known of it. */
  runAt(sequenceNumber: string): Run | undefined {
    const number = BigInt(sequenceNumber);
    let [low, high] = [0, this.#runs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#runs[middle]!.last < number) low = middle + 1;
      else high = middle;
    }
    const run = this.#runs[low];
    return run !== undefined && run.first <= number ? run : undefined;
  }
}
