/**
 * The records that are done ahead of the watermark. Records finish in any order, and a checkpoint's position
 * is the last done record before which all are finished. Its `ahead` lists which later records are done too,
 * so that they are not delivered again. Pure.
 *
 * Records are identified by sequence number, not by count: the range from the watermark to the furthest done
 * record is divided into runs of done records and runs of others, and a record's number is compared with the
 * borders of the runs. So a record that is not known to be done never counts as done, even if records were
 * trimmed or aggregates are de-aggregated differently meanwhile.
 */

/** The numbers from `first` to `last`, inclusive. */
export interface Interval {
  readonly first: number;
  readonly last: number;
}

/** Consecutive records. */
export interface Run {
  readonly first: bigint;
  readonly last: bigint;
  /** Whether all of them are done or none; or which user records of one aggregate are, in order. */
  readonly done: boolean | readonly Interval[];
}

/** A run, with the number of its user records that are known to be done. */
export interface CountedRun extends Run {
  readonly count: number;
}

/** Runs in order, and lone records: records within them of which more is known, each as a run of one. */
export interface CountedRuns {
  readonly runs: readonly CountedRun[];
  readonly lone: readonly CountedRun[];
}

/** Which records after a checkpoint's position are done. */
export class Ahead {
  /** The number of user records that are done. */
  readonly count: number;
  readonly #runs: readonly Run[];
  /** Lone records: those of which more is done than of their runs. */
  readonly #lone: ReadonlyMap<bigint, Run>;

  constructor(count: number, runs: readonly Run[], lone: readonly Run[]) {
    this.count = count;
    this.#runs = runs;
    this.#lone = new Map(lone.map((run) => [run.first, run]));
  }

  /** Whether this record is behind all runs: then nothing is known of it or of later ones. */
  isBehind(sequenceNumber: string): boolean {
    return BigInt(sequenceNumber) > this.#runs.at(-1)!.last;
  }

  /** Whether this record is done. */
  includes(sequenceNumber: string, subSequenceNumber: number | undefined): boolean {
    const done = this.doneAt(sequenceNumber) ?? false;
    if (typeof done === "boolean") return done;
    if (subSequenceNumber === undefined) return false;
    return done.some(({ first, last }) => first <= subSequenceNumber && subSequenceNumber <= last);
  }

  /** Whether this record is done, or which of its user records are; undefined if nothing is known of it. */
  doneAt(sequenceNumber: string): Run["done"] | undefined {
    return (this.#lone.get(BigInt(sequenceNumber)) ?? this.runAt(sequenceNumber))?.done;
  }

  /** The lone records after this one. */
  loneAfter(sequenceNumber: bigint): readonly Run[] {
    return [...this.#lone.values()].filter(({ first }) => first > sequenceNumber);
  }

  /** The runs after this record. */
  after(sequenceNumber: bigint): readonly Run[] {
    const next = sequenceNumber + 1n;
    return this.#runs.flatMap((run) => {
      if (run.last < next) return [];
      if (run.first >= next) return [run];
      return [{ ...run, first: next, done: run.done === true }];
    });
  }

  /** The run that contains this record; undefined if nothing is known of it. */
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
