import type { Position } from "../checkpoints/position.ts";
import { Stopwatch, type Clock } from "../clock.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { RecordCursor } from "./record-cursor.ts";
import type { ReadStart } from "./shard-reader.ts";

/** The maximum difference between the clocks that set records' arrival times and replies' dates. */
const SERVICE_CLOCK_SKEW_MS = 5 * 60_000;

/** The shortest retention of a stream. */
const MIN_RETENTION_MS = 24 * 3_600_000;

/** The facts of a page that determine where reading continues. */
export interface PageFacts {
  readonly records: PageRecords;
  readonly millisBehindLatest: number;
  /** As in `RecordsPage`. */
  readonly completeUntil: number | undefined;
}

/**
 * Where the reading of one shard continues, for any kind of reader. It makes no calls. Reading continues *at* the last
 * delivered record, which must be the first in the next page, and is dropped there. If another record is first, the
 * expected one was trimmed: for a trimmed sequence number, some services return the oldest remaining record without an
 * error.
 */
export class ResumePoint {
  readonly #clock: Clock;
  #position: IteratorPosition;
  /** The last position that was delivered. */
  #delivered: Position | undefined;
  /** The record that reading continued at, until a page shows whether it still exists. */
  #expected: string | undefined;
  /** Until this time, by the service's clock, the shard had no records. Used until the first record arrives. */
  #emptyUntil: number | undefined;
  /** Runs since the last reply at the tip; `undefined` if there was none, or pages after it were dropped. */
  #sinceCaughtUp: Stopwatch | undefined;

  constructor({ from, delivered }: ReadStart, clock: Clock) {
    this.#clock = clock;
    this.#delivered = delivered;
    this.#position =
      from.StartingSequenceNumber === undefined
        ? from
        : { ...from, ShardIteratorType: "AT_SEQUENCE_NUMBER" };
  }

  /** Where reading continues. */
  get position(): IteratorPosition {
    return this.#position;
  }

  /** Changes the position. */
  moveTo(position: IteratorPosition): void {
    this.#position = position;
  }

  /** Called when reading continues at `position`. */
  resumed(): void {
    this.#expected = this.#position.StartingSequenceNumber;
  }

  /** If the shard had no records so far, skips the time until the last reply. */
  skipEmpty(): void {
    const { StartingSequenceNumber, Timestamp } = this.#position;
    if (this.#emptyUntil === undefined || StartingSequenceNumber !== undefined) return;
    const from = this.#emptyUntil - SERVICE_CLOCK_SKEW_MS;
    if (Timestamp !== undefined && from <= Timestamp.getTime()) return;
    this.#position = { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(from) };
  }

  /**
   * Accepts a page: drops the records that were delivered before, and continues after the page. Returns the record that
   * was expected first if it was trimmed and unread records may have been trimmed too; otherwise `undefined`.
   */
  accept(page: PageFacts, cursor: RecordCursor): string | undefined {
    const { records, millisBehindLatest, completeUntil } = page;
    const lost = this.#dropDelivered(records, cursor);
    this.#emptyUntil = completeUntil ?? this.#emptyUntil;
    // A page at the tip does not show whether records before it were trimmed.
    if (millisBehindLatest === 0 && (this.#expected === undefined || this.#missedNothing)) {
      this.#sinceCaughtUp = new Stopwatch(this.#clock);
    }
    if (records.length > 0) this.#continueAt(records.sequenceNumber(records.length - 1));
    return lost;
  }

  /** Continues after this record: the pages after it were dropped. */
  rewind(sequenceNumber: string): void {
    this.#continueAt(sequenceNumber);
    // These came from later replies, and are not true at this position.
    this.#emptyUntil = this.#sinceCaughtUp = undefined;
  }

  /**
   * Called when the record to continue at was trimmed: continues at the oldest remaining record. Returns true if unread
   * records may have been trimmed too.
   */
  trimmed(): boolean {
    this.#expected = undefined;
    this.#position = { ShardIteratorType: "TRIM_HORIZON" };
    return !this.#missedNothing;
  }

  #dropDelivered(records: PageRecords, cursor: RecordCursor): string | undefined {
    const expected = this.#expected;
    if (expected === undefined || records.length === 0) return undefined;
    this.#expected = undefined;
    if (records.sequenceNumber(0) !== expected) return this.#missedNothing ? undefined : expected;
    if (this.#delivered !== undefined) cursor.dropThrough(this.#delivered);
    return undefined;
  }

  /** Continues at this record, which counts as delivered. */
  #continueAt(sequenceNumber: string): void {
    this.#position = {
      ShardIteratorType: "AT_SEQUENCE_NUMBER",
      StartingSequenceNumber: sequenceNumber,
    };
    this.#delivered = { sequenceNumber };
  }

  /** Whether all records since the last reply at the tip are too young to be trimmed. */
  get #missedNothing(): boolean {
    return (this.#sinceCaughtUp?.elapsed() ?? Infinity) < MIN_RETENTION_MS;
  }
}
