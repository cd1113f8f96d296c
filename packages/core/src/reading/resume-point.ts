import type { Position } from "../checkpoints/position.ts";
import { Stopwatch, type Clock } from "../clock.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { RecordCursor } from "./record-cursor.ts";
import type { ReadStart } from "./shard-reader.ts";

/** Records' arrival times and a reply's date may come from clocks that differ by as much. */
const SERVICE_CLOCKS_DIFFER_MS = 5 * 60_000;

/** No stream keeps its records for less. */
const LEAST_RETENTION_MS = 24 * 3_600_000;

/** What a page says of the place that it was read from. */
export interface PageFacts {
  readonly records: PageRecords;
  readonly millisBehindLatest: number;
  /** As in `RecordsPage`. */
  readonly completeUntil: number | undefined;
}

/**
 * Where the reading of one shard continues, for any kind of reader. It makes no calls. Reading continues
 * *at* the last delivered record, which must come first and is dropped. If another record comes in
 * its place, it was trimmed: some services answer a trimmed number with the oldest record left, and
 * say nothing.
 */
export class ResumePoint {
  readonly #clock: Clock;
  #position: IteratorPosition;
  /** What is delivered already. */
  #delivered: Position | undefined;
  /** The record that reading continued at, until a page has shown whether it is still there. */
  #expected: string | undefined;
  /** As long as no record came: the shard was empty until then, by the service's clock. */
  #emptyUntil: number | undefined;
  /** Runs since the last reply that had nothing behind it; undefined = what was read was given up. */
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

  /** Reading begins somewhere else. */
  moveTo(position: IteratorPosition): void {
    this.#position = position;
  }

  /** Reading is about to continue at `position`. */
  resumed(): void {
    this.#expected = this.#position.StartingSequenceNumber;
  }

  /** A shard that has had no record is not read again from where it was begun. */
  leaveOutEmpty(): void {
    const { StartingSequenceNumber, Timestamp } = this.#position;
    if (this.#emptyUntil === undefined || StartingSequenceNumber !== undefined) return;
    const from = this.#emptyUntil - SERVICE_CLOCKS_DIFFER_MS;
    if (Timestamp !== undefined && from <= Timestamp.getTime()) return;
    this.#position = { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(from) };
  }

  /**
   * A page came: what was delivered before is dropped, and reading continues behind it. Answers with
   * the record that was expected first and is gone with others that may be unread; undefined = none.
   */
  accept(page: PageFacts, cursor: RecordCursor): string | undefined {
    const { records, millisBehindLatest, completeUntil } = page;
    const lost = this.#dropDelivered(records, cursor);
    this.#emptyUntil = completeUntil ?? this.#emptyUntil;
    // Having nothing more says nothing of what may be missing before it.
    if (millisBehindLatest === 0 && (this.#expected === undefined || this.#missedNothing)) {
      this.#sinceCaughtUp = new Stopwatch(this.#clock);
    }
    if (records.length > 0) this.#continueAt(records.sequenceNumber(records.length - 1));
    return lost;
  }

  /** What was read after this record was given up. */
  rewind(sequenceNumber: string): void {
    this.#continueAt(sequenceNumber);
    // Whatever later replies said is not true of this place.
    this.#emptyUntil = this.#sinceCaughtUp = undefined;
  }

  /**
   * The record to continue at was trimmed: reading continues at the oldest record left. True = others
   * after it may be gone unread.
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

  /** This record was delivered. */
  #continueAt(sequenceNumber: string): void {
    this.#position = {
      ShardIteratorType: "AT_SEQUENCE_NUMBER",
      StartingSequenceNumber: sequenceNumber,
    };
    this.#delivered = { sequenceNumber };
  }

  /** Whatever came since nothing was behind is too young to be trimmed. */
  get #missedNothing(): boolean {
    return (this.#sinceCaughtUp?.elapsed() ?? Infinity) < LEAST_RETENTION_MS;
  }
}
