import type { Ahead, CountedRun, CountedRuns, Interval, Run } from "./ahead.ts";
import type { Position } from "./position.ts";

/** A stream record of which some user records were added. */
interface Part {
  readonly sequenceNumber: string;
  /** The number of user records that were added. */
  records: number;
  done: number;
  /** True if the last of its user records was added. */
  isWhole: boolean;
  /** The sub-sequence numbers of those that are done. */
  readonly intervals: { first: number; last: number }[];
}

interface OpenRun {
  readonly first: string;
  last: string;
  /** The record before the last one; undefined if the last one is the only one. */
  beforeLast: string | undefined;
  /** The last record's share of `count`. */
  lastCount: number;
  readonly done: boolean | readonly Interval[];
  count: number;
}

/** Groups records, added in order, into runs of done records and runs of others. */
export class Runs {
  readonly #runs: OpenRun[] = [];
  #part: Part | undefined;

  /**
   * Adds the next record.
   * @param endsStreamRecord true for an ordinary record and for the last user record of an aggregate
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
   * Returns all runs: those of the added records, followed by those of an earlier checkpoint.
   * @param watermark the position before the added records
   * @param last the sequence number of the last added record
   * @param unread how many records that the earlier checkpoint lists as done were not added yet
   */
  end(watermark: Position, last: string, earlier: Ahead | undefined, unread: number): CountedRuns {
    const earlierRun = earlier?.runAt(last);
    const known = earlier?.doneAt(last);
    const { sequenceNumber, subSequenceNumber: inside } = watermark;
    // No user record behind the watermark has been added of the aggregate that contains it.
    if (inside !== undefined && sequenceNumber === last && this.#runs.length === 0) {
      this.#part ??= { sequenceNumber, records: 0, done: 0, isWhole: false, intervals: [] };
    }
    this.#mergePart(known);
    this.#endPart();
    const isJoined = earlierRun !== undefined && this.#runs.length > 0;
    const newest = isJoined ? this.#joinNewest(last, earlierRun, known === true) : undefined;
    const runs = this.#runs.map(({ first, last: end, done, count }) => ({
      first: BigInt(first),
      last: BigInt(end),
      done,
      count,
    }));
    const rest = earlier?.after(isJoined ? earlierRun.last : BigInt(last)) ?? [];
    const loneRest = earlier?.loneAfter(BigInt(last)) ?? [];
    const all = [...runs, ...rest.map((run) => ({ ...run, count: 0 }))];
    // A store keeps the text with the higher count, so the records that were not read again must count too.
    const furthest = all.findLast(({ done }) => done !== false);
    if (furthest !== undefined) furthest.count += unread;
    return {
      runs: all,
      lone: [
        ...(newest === undefined ? [] : [newest]),
        ...loneRest.map((run) => ({ ...run, count: 0 })),
      ],
    };
  }

  /** Adds user records of the newest record that are done by the earlier checkpoint and were not added yet. */
  #mergePart(done: Run["done"] | undefined): void {
    const part = this.#part;
    if (part === undefined || part.isWhole || typeof done !== "object") return;
    for (const { first, last } of done) {
      const next = (part.intervals.at(-1)?.last ?? -1) + 1;
      if (last >= next) addTo(part, Math.max(next, first), last);
    }
  }

  /**
   * Joins the newest record to its run in the earlier checkpoint, together with the records behind it. The
   * number of the next record is not known, and a border directly behind the newest record would make all
   * borders as long as whole numbers. If more of it is done than of that run, returns it as a lone record.
   * @param wasDone whether the earlier checkpoint lists the newest record as done as a whole
   */
  #joinNewest(last: string, earlierRun: Run, wasDone: boolean): CountedRun | undefined {
    const run = this.#runs.at(-1)!;
    const { beforeLast, lastCount } = run;
    const done = wasDone || run.done;
    if (beforeLast === undefined) this.#runs.pop();
    else {
      run.last = beforeLast;
      run.count -= lastCount;
    }
    const isPart = typeof done === "object" && typeof earlierRun.done === "object";
    const joined = isPart ? done : earlierRun.done;
    const isLone = done !== false && joined !== true && joined !== done;
    this.#append(last, joined, isLone || joined === false ? 0 : lastCount);
    this.#runs.at(-1)!.last = String(earlierRun.last);
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
