import type { Ahead, CountedRun, CountedRuns, Interval, Run } from "./ahead.ts";
import type { Position } from "./position.ts";

/** A stream record some of whose user records were added. */
interface Part {
  readonly sequenceNumber: string;
  /** User records that were added. */
  records: number;
  done: number;
  /** Was the last of its user records added? */
  isWhole: boolean;
  /** Which are done, by their sub-sequence numbers. */
  readonly intervals: { first: number; last: number }[];
}

interface OpenRun {
  readonly first: string;
  last: string;
  /** The record before the last one; undefined = it is the only one. */
  beforeLast: string | undefined;
  /** What the last one has added to the count. */
  lastCount: number;
  readonly done: boolean | readonly Interval[];
  count: number;
}

/** Gathers records, in order, into runs of records that are done and of records that are not. */
export class Runs {
  readonly #runs: OpenRun[] = [];
  #part: Part | undefined;

  /**
   * The next record.
   * @param endsStreamRecord is it the last user record of its aggregate, or an ordinary record?
   */
  add(
    sequenceNumber: string,
    subSequenceNumber: number | undefined,
    endsStreamRecord: boolean,
    done: boolean,
  ): void {
    if (this.#part !== undefined && this.#part.sequenceNumber !== sequenceNumber) this.#endPart();
    if (subSequenceNumber === undefined) {
      return this.#append(sequenceNumber, done, done ? 1 : 0);
    }
    this.#part ??= { sequenceNumber, records: 0, done: 0, isWhole: false, intervals: [] };
    const part = this.#part;
    part.records += 1;
    if (endsStreamRecord) part.isWhole = true;
    if (!done) return;
    part.done += 1;
    addTo(part, subSequenceNumber, subSequenceNumber);
  }

  /**
   * All runs: those of the records that were added, the last of which has this number, and behind it
   * what an earlier checkpoint says.
   * @param watermark it lies before the records that were added
   * @param unmet how many records are done by the earlier checkpoint that were not added yet
   */
  end(watermark: Position, last: string, earlier: Ahead | undefined, unmet: number): CountedRuns {
    const theirs = earlier?.runAt(last);
    const known = earlier?.doneAt(last);
    const { sequenceNumber, subSequenceNumber: inside } = watermark;
    // Of the aggregate that the watermark is in, nothing behind it has been met yet.
    if (inside !== undefined && sequenceNumber === last && this.#runs.length === 0) {
      this.#part ??= { sequenceNumber, records: 0, done: 0, isWhole: false, intervals: [] };
    }
    this.#mergePart(known);
    this.#endPart();
    const isJoined = theirs !== undefined && this.#runs.length > 0;
    const newest = isJoined ? this.#joinNewest(last, theirs, known === true) : undefined;
    const runs = this.#runs.map(({ first, last: end, done, count }) => ({
      first: BigInt(first),
      last: BigInt(end),
      done,
      count,
    }));
    const rest = earlier?.after(isJoined ? theirs.last : BigInt(last)) ?? [];
    const loneRest = earlier?.loneAfter(BigInt(last)) ?? [];
    const all = [...runs, ...rest.map((run) => ({ ...run, count: 0 }))];
    // Of two texts of a position, a store keeps the one with more records.
    const furthest = all.findLast(({ done }) => done !== false);
    if (furthest !== undefined) furthest.count += unmet;
    return {
      runs: all,
      lone: [
        ...(newest === undefined ? [] : [newest]),
        ...loneRest.map((run) => ({ ...run, count: 0 })),
      ],
    };
  }

  /** User records of the newest record that are done, and come next. */
  #mergePart(done: Run["done"] | undefined): void {
    const part = this.#part;
    if (part === undefined || part.isWhole || typeof done !== "object") return;
    for (const { first, last } of done) {
      const next = (part.intervals.at(-1)?.last ?? -1) + 1;
      if (last >= next) addTo(part, Math.max(next, first), last);
    }
  }

  /**
   * The newest record stays in the run of the earlier checkpoint, together with the records behind it:
   * nobody knows where the next one begins, and a border right behind the newest record would make all
   * borders as long as whole numbers. If more of it is done than of that run, it is answered with, to be
   * kept by itself.
   * @param wasDone was the newest record done as a whole, by the earlier checkpoint?
   */
  #joinNewest(last: string, theirs: Run, wasDone: boolean): CountedRun | undefined {
    const run = this.#runs.at(-1)!;
    const { beforeLast, lastCount } = run;
    const done = wasDone || run.done;
    if (beforeLast === undefined) this.#runs.pop();
    else {
      run.last = beforeLast;
      run.count -= lastCount;
    }
    const isPart = typeof done === "object" && typeof theirs.done === "object";
    const joined = isPart ? done : theirs.done;
    const isLone = done !== false && joined !== true && joined !== done;
    this.#append(last, joined, isLone || joined === false ? 0 : lastCount);
    this.#runs.at(-1)!.last = String(theirs.last);
    const number = BigInt(last);
    return isLone ? { first: number, last: number, done, count: lastCount } : undefined;
  }

  #endPart(): void {
    const part = this.#part;
    this.#part = undefined;
    if (part === undefined) return;
    const { sequenceNumber, records, done, isWhole, intervals } = part;
    const isDone = isWhole && done === records;
    if (isDone || intervals.length === 0) this.#append(sequenceNumber, isDone, isDone ? done : 0);
    else this.#append(sequenceNumber, intervals, done);
  }

  #append(sequenceNumber: string, done: boolean | readonly Interval[], count: number): void {
    const before = this.#runs.at(-1);
    if (before === undefined || before.done !== done) {
      const run = { first: sequenceNumber, last: sequenceNumber, beforeLast: undefined };
      this.#runs.push({ ...run, done, count, lastCount: count });
    } else {
      before.beforeLast = before.last;
      before.last = sequenceNumber;
      before.lastCount = count;
      before.count += count;
    }
  }
}

function addTo({ intervals }: Part, first: number, last: number): void {
  const before = intervals.at(-1);
  if (before !== undefined && first === before.last + 1) before.last = last;
  else intervals.push({ first, last });
}
