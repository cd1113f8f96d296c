import type { Position } from "../checkpoints/position.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { Page, PageMemory } from "../reading/shard-reader.ts";
import type { ConsumerRecord } from "../record.ts";
import { Beyond, type OpenRecords } from "./beyond.ts";
import { UnfinishedRecords } from "./unfinished-records.ts";

const UNFINISHED = 0;
/** Unfinished, in a copy of its own: see `detach`. */
const DETACHED = 1;
const DONE = 2;
const SKIPPED = 3;

/** How old a page is. */
export type PageAge = Pick<Page, "millisBehindLatest" | "receivedAt">;

/** Without the records of its page, so that a record in a copy keeps no page alive. */
interface OpenPage extends PageAge {
  readonly memory: PageMemory;
  /** Ordinals from here on belong to the pages after it. Infinity = it is the newest one. */
  end: number;
  /** Of its records that were started, those that are not finished. */
  unfinished: number;
  /** Of these, those that have copies of their own, and what copies were ever made, in bytes. */
  detached: number;
  copiedBytes: number;
}

/**
 * Which records of one shard are in flight. Each started record has an ordinal, and may finish in any
 * order. Progress is the watermark: the last record that is done with all before it finished. A page's
 * memory is released when the last of its records is finished; when all that are left have copies of
 * their own, it shrinks to these.
 *
 * Called for each record: it allocates nothing, but to hold more records in flight than ever before.
 */
export class Tracker implements OpenRecords {
  readonly #progress: ShardProgress;
  readonly #beyond: Beyond;
  /** Accepted pages that are not finished, in order. */
  readonly #pages: OpenPage[] = [];
  /** Ordinals are indices into the rings, modulo their size: a power of two. */
  #sequenceNumbers: string[] = [""];
  #subSequenceNumbers: (number | undefined)[] = [undefined];
  /** 1 = its stream record is done with it. */
  #ends = new Uint8Array(1);
  #states = new Uint8Array(1);
  /** The next record's ordinal. */
  #next = 0;
  /** The lowest unfinished ordinal. */
  #low = 0;
  /** The last stream record all of whose records are finished, with all before them; "" = none. */
  #lastWhole = "";

  constructor(progress: ShardProgress) {
    this.#progress = progress;
    this.#beyond = new Beyond(progress, this);
  }

  /** Records that were started and are not finished. Those behind the first unfinished one count. */
  get inFlight(): number {
    return this.#next - this.#low;
  }

  /** The first page that is not finished. */
  get oldest(): PageAge | undefined {
    return this.#pages[0];
  }

  /** Is this record, which is in flight, the last one of its stream record? */
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

  /** The number of the record that started last; undefined = none has. */
  get newest(): string | undefined {
    if (this.#next === 0) return undefined;
    return this.#sequenceNumbers[(this.#next - 1) & (this.#states.length - 1)];
  }

  /** The records from the first unfinished one on. */
  each(
    use: (
      sequenceNumber: string,
      subSequenceNumber: number | undefined,
      endsStreamRecord: boolean,
      done: boolean,
    ) => void,
  ): void {
    const mask = this.#states.length - 1;
    for (let ordinal = this.#low; ordinal < this.#next; ordinal += 1) {
      const slot = ordinal & mask;
      use(
        this.#sequenceNumbers[slot]!,
        this.#subSequenceNumbers[slot],
        this.#ends[slot] === 1,
        this.#states[slot] === DONE,
      );
    }
  }

  /**
   * A page is in hand: the records that start now are its own. Answers with those that are to be
   * delivered: some may have been done before the shard was resumed.
   */
  accept(page: Page): RecordCursor {
    const { memory, millisBehindLatest, receivedAt } = page;
    memory.taken();
    this.#pages.push({
      memory,
      millisBehindLatest,
      receivedAt,
      end: Infinity,
      unfinished: 0,
      detached: 0,
      copiedBytes: 0,
    });
    if (!this.#beyond.isResumed) return page.records;
    return new UnfinishedRecords(page.records, (record, endsStreamRecord) =>
      this.#passDone(record, endsStreamRecord),
    );
  }

  /**
   * May the handler be called for this record now? Else what is done beyond the watermark would soon not
   * fit into the checkpoint: records before the furthest done one have to be done first.
   */
  mayStart(ordinal: number): boolean {
    return this.#beyond.mayStart(ordinal, ordinal - this.#low);
  }

  /** The same for the record that is started next. */
  mayStartNext(): boolean {
    return this.mayStart(this.#next);
  }

  /** No further record of the newest page starts. */
  pageOver(): void {
    const newest = this.#pages.at(-1)!;
    newest.end = this.#next;
    this.#settle(newest);
  }

  /**
   * A record of the newest page starts: its ordinal.
   * @param endsStreamRecord as of the page's cursor, while the record was at it
   */
  start(
    sequenceNumber: string,
    subSequenceNumber: number | undefined,
    endsStreamRecord: boolean,
  ): number {
    const ordinal = this.#next;
    if (ordinal - this.#low === this.#states.length) this.#grow();
    const slot = ordinal & (this.#states.length - 1);
    // User records of one aggregate share theirs. To store a text in old memory costs the collector's barrier.
    if (subSequenceNumber === undefined || this.#sequenceNumbers[slot] !== sequenceNumber) {
      this.#sequenceNumbers[slot] = sequenceNumber;
    }
    this.#subSequenceNumbers[slot] = subSequenceNumber;
    this.#ends[slot] = endsStreamRecord ? 1 : 0;
    this.#states[slot] = UNFINISHED;
    this.#next = ordinal + 1;
    this.#pages[this.#pages.length - 1]!.unfinished += 1;
    return ordinal;
  }

  /**
   * The record will wait: may it lie in a copy of so many bytes? Then its page is not kept for it. False =
   * there is no memory for a copy. To be called once for a record.
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

  /** The record's work is done. */
  done(ordinal: number): void {
    const isBeyond = ordinal !== this.#low;
    if (isBeyond) this.#doneBeyond(ordinal);
    this.#finish(ordinal, DONE);
    if (isBeyond) this.#progress.touch();
  }

  /** The record is finished, but only a later one that is done moves the checkpoint past it. */
  skipped(ordinal: number): void {
    this.#finish(ordinal, SKIPPED);
  }

  /** Nothing more starts: all memory is released. Idempotent. */
  close(): void {
    for (const { memory } of this.#pages.splice(0)) memory.release();
  }

  #passDone(
    { sequenceNumber, subSequenceNumber }: ConsumerRecord,
    endsStreamRecord: boolean,
  ): boolean {
    if (!this.#beyond.includes(sequenceNumber, subSequenceNumber)) return false;
    this.#beyond.met();
    const ordinal = this.start(sequenceNumber, subSequenceNumber, endsStreamRecord);
    if (ordinal !== this.#low) this.#doneBeyond(ordinal);
    this.#finish(ordinal, DONE);
    return true;
  }

  /** It makes a run of its own, makes one longer, or joins two. */
  #doneBeyond(ordinal: number): void {
    const runs = 1 - this.#isDoneBeyond(ordinal - 1) - this.#isDoneBeyond(ordinal + 1);
    this.#beyond.done(ordinal, runs);
  }

  #isDoneBeyond(ordinal: number): 0 | 1 {
    if (ordinal <= this.#low || ordinal >= this.#next) return 0;
    return this.#states[ordinal & (this.#states.length - 1)] === DONE ? 1 : 0;
  }

  #finish(ordinal: number, state: number): void {
    const slot = ordinal & (this.#states.length - 1);
    const wasDetached = this.#states[slot] === DETACHED;
    this.#states[slot] = state;
    if (ordinal === this.#low) this.#raise();
    const page = this.#pageOf(ordinal);
    if (page === undefined) return;
    page.unfinished -= 1;
    if (wasDetached) page.detached -= 1;
    if (page.unfinished === page.detached) this.#settle(page);
  }

  #raise(): void {
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
    if (runs > 0) this.#beyond.passed(runs);
    if (last < 0) return;
    const sub = this.#ends[last] === 1 ? undefined : this.#subSequenceNumbers[last];
    this.#progress.advance(this.#sequenceNumbers[last]!, sub, whole, records);
  }

  /** Undefined after `close`. */
  #pageOf(ordinal: number): OpenPage | undefined {
    const pages = this.#pages;
    let index = 0;
    while (index < pages.length && pages[index]!.end <= ordinal) index += 1;
    return pages[index];
  }

  /** Gives back what no record of the page needs any more. */
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
    for (let ordinal = this.#low; ordinal < this.#next; ordinal += 1) {
      const [from, to] = [ordinal & (size - 1), ordinal & (2 * size - 1)];
      states[to] = this.#states[from]!;
      ends[to] = this.#ends[from]!;
      sequenceNumbers[to] = this.#sequenceNumbers[from]!;
      subSequenceNumbers[to] = this.#subSequenceNumbers[from];
    }
    this.#states = states;
    this.#ends = ends;
    this.#sequenceNumbers = sequenceNumbers;
    this.#subSequenceNumbers = subSequenceNumbers;
  }
}
