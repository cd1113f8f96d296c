import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { Page } from "../reading/shard-reader.ts";
import type { ConsumerRecord } from "../record.ts";
import { laneOf, type LaneOf } from "./lane-of.ts";
import { Lanes } from "./lanes.ts";
import { RecordJob } from "./record-job.ts";
import type { Tracker } from "./tracker.ts";

/** The most records that wait in lanes, for each concurrent call of the handler. */
const WAITING_PER_CALL = 10;

/**
 * The records of a shard on their way from the page to the handler, and which of them starts next: the first
 * ready job, else the record at the page's cursor. On the way to a record whose lane is free, records whose
 * lanes are busy are moved into these as jobs. A record that starts from the cursor needs no job: it gets one
 * only if it has to wait afterwards.
 */
export class RecordIntake {
  readonly #tracker: Tracker;
  readonly #laneOf: LaneOf;
  readonly #maxWaiting: number;
  readonly #onPageEnd: () => void;
  readonly #lanes = new Lanes<RecordJob>();
  readonly #mayStart = ({ ordinal }: RecordJob): boolean => this.#tracker.mayStart(ordinal);
  /** A cursor over the page's records that were not started and are in no lane yet. */
  #page: RecordCursor | undefined;
  /** The record at the cursor, once it was read, and its lane, or the error that `key` threw. */
  #record: ConsumerRecord | undefined;
  #lane: string | undefined;
  #laneFailure: { readonly error: unknown } | undefined;
  #unfinished = 0;

  /** @param onPageEnd called when there is room for the next page */
  constructor(policy: ResolvedDelivery, tracker: Tracker, onPageEnd: () => void) {
    this.#tracker = tracker;
    this.#laneOf = laneOf(policy);
    this.#maxWaiting = WAITING_PER_CALL * policy.concurrency;
    this.#onPageEnd = onPageEnd;
  }

  /** Whether records of the newest page were not started and are in no lane yet. */
  get hasPage(): boolean {
    return this.#page !== undefined;
  }

  /** The number of records that were started or wait in lanes, and are not finished. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** The same plus the records of the page that were not started and are in no lane yet. */
  get inFlight(): number {
    return (this.#page?.left ?? 0) + this.#unfinished;
  }

  accept(page: Page): void {
    this.#page = this.#tracker.accept(page);
  }

  /** Finds what starts next. Returns false if no record may start. */
  seek(): boolean {
    if (this.#lanes.first !== undefined) return this.#lanes.moveToFront(this.#mayStart);
    for (;;) {
      const record = this.#current();
      if (record === undefined) return false;
      const last = this.#lanes.lastOf(this.#lane);
      if (last === undefined) return this.#tracker.mayStartNext();
      if (this.#lanes.waiting >= this.#maxWaiting) return false;
      const job = this.#pass(record, this.start(record));
      this.#lanes.follow(last, job);
      if (last.isDetached) job.detach(this.#tracker);
    }
  }

  /** Takes the job that `seek` has found; undefined if it has found the record at the cursor. */
  takeJob(): RecordJob | undefined {
    return this.#lanes.first === undefined ? undefined : this.#lanes.take();
  }

  /** The record at the cursor, after `seek` has found it. */
  get record(): ConsumerRecord {
    return this.#record!;
  }

  /** The error of `key` for the record at the cursor: its lane is not known. */
  get laneFailure(): { readonly error: unknown } | undefined {
    return this.#laneFailure;
  }

  /** Starts the record at the cursor and returns its ordinal. */
  start(record: ConsumerRecord): number {
    const { sequenceNumber, subSequenceNumber: sub, approximateArrivalMs } = record;
    const { endsStreamRecord } = this.#page!;
    this.#unfinished += 1;
    return this.#tracker.start(sequenceNumber, sub, endsStreamRecord, approximateArrivalMs);
  }

  /** Reads the record at the cursor again: the first object was given to the handler. */
  reread(): ConsumerRecord {
    return this.#page!.current()!;
  }

  /** Moves the cursor past its record, which is finished. */
  advance(): void {
    this.#record = undefined;
    this.#page!.advance();
  }

  /** Moves the cursor past its record, which was started and has to wait: its lane is busy from now on. */
  enter(record: ConsumerRecord, ordinal: number): RecordJob {
    const job = this.#pass(record, ordinal);
    this.#laneFailure = undefined;
    this.#lanes.enter(job);
    return job;
  }

  /** The job must start again. */
  ready(job: RecordJob): void {
    this.#lanes.ready(job);
  }

  /** The job is finished: the next one of its lane may start. */
  leave(job: RecordJob): void {
    this.#lanes.leave(job);
  }

  /** Copies a failed record and those behind it in its lane out of their pages: they may wait for long. */
  detachLane(first: RecordJob): void {
    for (let job: RecordJob | undefined = first; job !== undefined; job = job.behind) {
      job.detach(this.#tracker);
    }
  }

  /** The record is done. */
  done(ordinal: number): void {
    this.#unfinished -= 1;
    this.#tracker.done(ordinal);
  }

  /** The record is finished without moving the checkpoint. */
  skipped(ordinal: number): void {
    this.#unfinished -= 1;
    this.#tracker.skipped(ordinal);
  }

  /** Ends the page if all its records were started or are in lanes. */
  endReadPage(): void {
    if (this.#page?.left === 0) this.#endPage();
  }

  /** Drops the rest of the page. */
  close(): void {
    this.#page = undefined;
  }

  /** The record at the cursor, with its lane. */
  #current(): ConsumerRecord | undefined {
    if (this.#record !== undefined) return this.#record;
    const page = this.#page;
    if (page === undefined) return undefined;
    const record = page.current();
    if (record === undefined) {
      this.#endPage();
      return undefined;
    }
    this.#record = record;
    try {
      this.#lane = this.#laneOf(record);
    } catch (error) {
      this.#laneFailure = { error };
      this.#lane = undefined;
    }
    return record;
  }

  #pass(record: ConsumerRecord, ordinal: number): RecordJob {
    this.advance();
    return new RecordJob(record, ordinal, this.#lane);
  }

  #endPage(): void {
    this.#page = undefined;
    this.#tracker.endPage();
    this.#onPageEnd();
  }
}
