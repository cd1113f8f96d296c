import type { Position } from "../checkpoints/position.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { Page, PageMemory } from "../reading/shard-reader.ts";
import type { ConsumerRecord } from "../record.ts";
import { CompletedAhead, type OpenRecords, type OpenRecordVisitor } from "./completed-ahead.ts";
import { UnfinishedRecords } from "./unfinished-records.ts";

const UNFINISHED = 0;
/** Unfinished, and copied out of its page: see `detach`. */
const DETACHED = 1;
const DONE = 2;
const SKIPPED = 3;

/** How old a page is, and when its first unfinished record arrived. */
export type PageAge = Pick<Page, "millisBehindLatest" | "receivedAt" | "arrivalMs">;

/** A page with unfinished records. It does not refer to them, so that the page can be collected. */
interface OpenPage extends PageAge {
  readonly memory: PageMemory;
  /** Ordinals from here on belong to later pages; Infinity for the newest page. */
  end: number;
  /** The number of its started records that are not finished. */
  unfinished: number;
  /** How many of these were copied out of the page, and the bytes of all copies ever made. */
  detached: number;
  copiedBytes: number;
}

/**
 * Tracks the in-flight records of one shard. Each started record has an ordinal, and records may finish in
 * any order. Progress is the watermark: the last done record before which all are finished. A page's memory
 * is released when its last record is finished. When all unfinished records of a page have been copied out
 * of it, its memory shrinks to these copies.
 *
 * Called for each record. It allocates only when more records are in flight than ever before.
 */
export class Tracker implements OpenRecords {
  readonly #progress: ShardProgress;
  readonly #ahead: CompletedAhead;
  /** Accepted pages with unfinished records, in order. */
  readonly #pages: OpenPage[] = [];
  /** Ring buffers, indexed by ordinal modulo their size, which is a power of two. */
  #sequenceNumbers: string[] = [""];
  #subSequenceNumbers: (number | undefined)[] = [undefined];
  #arrivals = new Float64Array(1);
  /** 1 if it is the last record of its stream record. */
  #ends = new Uint8Array(1);
  #states = new Uint8Array(1);
  /** The next record's ordinal. */
  #next = 0;
  /** The lowest unfinished ordinal. */
  #low = 0;
  /** The last stream record that is finished as a whole, with all records before it; "" = none. */
  #lastWhole = "";

  constructor(progress: ShardProgress) {
    this.#progress = progress;
    this.#ahead = new CompletedAhead(progress, this);
  }

  /** The number of records from the first unfinished one to the last started one. */
  get inFlight(): number {
    return this.#next - this.#low;
  }

  /** The oldest page with unfinished records. */
  get oldest(): PageAge | undefined {
    const page = this.#pages[0];
    if (page === undefined) return undefined;
    const { millisBehindLatest, receivedAt, arrivalMs } = page;
    const mask = this.#states.length - 1;
    if (this.#low < this.#next) {
      return { millisBehindLatest, receivedAt, arrivalMs: this.#arrivals[this.#low & mask]! };
    }
    // The next record has not started. It arrived after the last one that has.
    const last = this.#next === 0 ? 0 : this.#arrivals[(this.#next - 1) & mask]!;
    return { millisBehindLatest, receivedAt, arrivalMs: Math.max(arrivalMs, last) };
  }

  /** Whether this in-flight record is the last one of its stream record. */
  endsStreamRecord({ sequenceNumber, subSequenceNumber }: Position): boolean {
    const mask = this.#states.length - 1;
    for (let ordinal = this.#low; ordinal < this.#next; ordinal += 1) {
      const slot = ordinal & mask;
      const isIt =
        this.#sequenceNumbers[slot] === sequenceNumber &&
        this.#subSequenceNumbers[slot] === subSequenceNumber;
      if (isIt) return this.#ends[slot] === 1;
    }
    return false;
  }

  /** The sequence number of the record that started last; undefined if none has. */
  get newest(): string | undefined {
    if (this.#next === 0) return undefined;
    return this.#sequenceNumbers[(this.#next - 1) & (this.#states.length - 1)];
  }

  /** Calls `visit` for each record from the first unfinished one on, in order. */
  each(visit: OpenRecordVisitor): void {
    const mask = this.#states.length - 1;
    for (let ordinal = this.#low; ordinal < this.#next; ordinal += 1) {
      const slot = ordinal & mask;
      visit(
        this.#sequenceNumbers[slot]!,
        this.#subSequenceNumbers[slot],
        this.#ends[slot] === 1,
        this.#states[slot] === DONE,
      );
    }
  }

  /**
   * Accepts a page: the records that start from now on belong to it. Returns a cursor over the records that
   * must be delivered: some may have been done before the shard was resumed.
   */
  accept(page: Page): RecordCursor {
    const { memory, millisBehindLatest, receivedAt, arrivalMs } = page;
    memory.taken();
    this.#pages.push({
      memory,
      millisBehindLatest,
      receivedAt,
      arrivalMs,
      end: Infinity,
      unfinished: 0,
      detached: 0,
      copiedBytes: 0,
    });
    if (!this.#ahead.isResumed) return page.records;
    return new UnfinishedRecords(page.records, (record, endsStreamRecord) =>
      this.#passDone(record, endsStreamRecord),
    );
  }

  /**
   * Whether the handler may be called for this record now. If not, the records done ahead of the watermark
   * might no longer fit into the checkpoint: earlier records must be done first.
   */
  mayStart(ordinal: number): boolean {
    return this.#ahead.mayStart(ordinal, ordinal - this.#low);
  }

  /** Whether the next record may start: see `mayStart`. */
  mayStartNext(): boolean {
    return this.mayStart(this.#next);
  }

  /** All records of the newest page were started. */
  endPage(): void {
    const newest = this.#pages.at(-1)!;
    newest.end = this.#next;
    this.#settle(newest);
  }

  /**
   * Starts a record of the newest page and returns its ordinal.
   * @param endsStreamRecord from the page's cursor while it was at this record
   * @param arrivalMs `approximateArrivalMs` of the record; 0 if it is unknown
   */
  start(
    sequenceNumber: string,
    subSequenceNumber: number | undefined,
    endsStreamRecord: boolean,
    arrivalMs = 0,
  ): number {
    const ordinal = this.#next;
    if (ordinal - this.#low === this.#states.length) this.#grow();
    const slot = ordinal & (this.#states.length - 1);
    // User records of one aggregate share the number. Storing a reference costs a GC write barrier.
    if (subSequenceNumber === undefined || this.#sequenceNumbers[slot] !== sequenceNumber) {
      this.#sequenceNumbers[slot] = sequenceNumber;
    }
    this.#subSequenceNumbers[slot] = subSequenceNumber;
    this.#arrivals[slot] = arrivalMs;
    this.#ends[slot] = endsStreamRecord ? 1 : 0;
    this.#states[slot] = UNFINISHED;
    this.#next = ordinal + 1;
    this.#pages[this.#pages.length - 1]!.unfinished += 1;
    return ordinal;
  }

  /**
   * Reserves memory for a copy of a record that will wait, so that its page need not be kept for it. Returns
   * false if there is no memory for a copy. Must not be called again after it has returned true.
   */
  detach(ordinal: number, bytes: number): boolean {
    const page = this.#pageOf(ordinal);
    if (page === undefined || !page.memory.hold(bytes)) return false;
    this.#states[ordinal & (this.#states.length - 1)] = DETACHED;
    page.detached += 1;
    page.copiedBytes += bytes;
    this.#settle(page);
    return true;
  }

  /** The record is done. */
  done(ordinal: number): void {
    const isAhead = ordinal !== this.#low;
    if (isAhead) this.#doneAhead(ordinal);
    this.#finish(ordinal, DONE);
    if (isAhead) this.#progress.touch();
  }

  /** The record is finished, but the checkpoint moves past it only with a later record that is done. */
  skipped(ordinal: number): void {
    this.#finish(ordinal, SKIPPED);
  }

  /** Releases all memory. Idempotent. */
  close(): void {
    for (const { memory } of this.#pages.splice(0)) memory.release();
  }

  #passDone(record: ConsumerRecord, endsStreamRecord: boolean): boolean {
    const { sequenceNumber, subSequenceNumber: sub, approximateArrivalMs } = record;
    if (!this.#ahead.includes(sequenceNumber, sub)) return false;
    this.#ahead.found();
    const ordinal = this.start(sequenceNumber, sub, endsStreamRecord, approximateArrivalMs);
    if (ordinal !== this.#low) this.#doneAhead(ordinal);
    this.#finish(ordinal, DONE);
    return true;
  }

  /** The record forms a run of its own, extends one, or joins two. */
  #doneAhead(ordinal: number): void {
    const runs = 1 - this.#isDoneAhead(ordinal - 1) - this.#isDoneAhead(ordinal + 1);
    this.#ahead.done(ordinal, runs);
  }

  #isDoneAhead(ordinal: number): 0 | 1 {
    if (ordinal <= this.#low || ordinal >= this.#next) return 0;
    return this.#states[ordinal & (this.#states.length - 1)] === DONE ? 1 : 0;
  }

  #finish(ordinal: number, state: number): void {
    const slot = ordinal & (this.#states.length - 1);
    const wasDetached = this.#states[slot] === DETACHED;
    this.#states[slot] = state;
    if (ordinal === this.#low) this.#moveWatermark();
    const page = this.#pageOf(ordinal);
    if (page === undefined) return;
    page.unfinished -= 1;
    if (wasDetached) page.detached -= 1;
    if (page.unfinished === page.detached) this.#settle(page);
  }

  #moveWatermark(): void {
    const mask = this.#states.length - 1;
    let records = 0;
    let last = -1;
    let whole = "";
    let runs = 0;
    let wasDone = false;
    const first = this.#low;
    for (; this.#low < this.#next; this.#low += 1) {
      const slot = this.#low & mask;
      if (this.#states[slot]! < DONE) break;
      const isDone = this.#states[slot] === DONE;
      if (isDone && !wasDone && this.#low !== first) runs += 1;
      wasDone = isDone && this.#low !== first;
      if (this.#ends[slot] === 1) this.#lastWhole = this.#sequenceNumbers[slot]!;
      if (!isDone) continue;
      records += 1;
      last = slot;
      whole = this.#lastWhole;
    }
    if (runs > 0) this.#ahead.passed(runs);
    if (last < 0) return;
    const sub = this.#ends[last] === 1 ? undefined : this.#subSequenceNumbers[last];
    this.#progress.advance(this.#sequenceNumbers[last]!, sub, whole, records);
  }

  /** The page that the record belongs to; undefined after `close`. */
  #pageOf(ordinal: number): OpenPage | undefined {
    const pages = this.#pages;
    let index = 0;
    while (index < pages.length && pages[index]!.end <= ordinal) index += 1;
    return pages[index];
  }

  /** Releases the memory that no record of the page needs any more. */
  #settle(page: OpenPage): void {
    if (page.end === Infinity || page.unfinished > page.detached) return;
    if (page.unfinished > 0) return page.memory.shrinkTo(page.copiedBytes);
    this.#pages.splice(this.#pages.indexOf(page), 1);
    page.memory.release();
  }

  #grow(): void {
    const size = this.#states.length;
    const [states, ends] = [new Uint8Array(2 * size), new Uint8Array(2 * size)];
    const sequenceNumbers = Array.from<string>({ length: 2 * size }).fill("");
    const subSequenceNumbers = Array.from<number | undefined>({ length: 2 * size });
    const arrivals = new Float64Array(2 * size);
    for (let ordinal = this.#low; ordinal < this.#next; ordinal += 1) {
      const [from, to] = [ordinal & (size - 1), ordinal & (2 * size - 1)];
      states[to] = this.#states[from]!;
      ends[to] = this.#ends[from]!;
      sequenceNumbers[to] = this.#sequenceNumbers[from]!;
      subSequenceNumbers[to] = this.#subSequenceNumbers[from];
      arrivals[to] = this.#arrivals[from]!;
    }
    this.#states = states;
    this.#ends = ends;
    this.#sequenceNumbers = sequenceNumbers;
    this.#subSequenceNumbers = subSequenceNumbers;
    this.#arrivals = arrivals;
  }
}
