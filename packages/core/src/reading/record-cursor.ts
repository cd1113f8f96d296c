import { compareSequenceNumbers, type Position } from "../checkpoints/position.ts";
import { AggregateFrames } from "../kinesis/aggregates/aggregate-frames.ts";
import type { Aggregate } from "../kinesis/aggregates/aggregate.ts";
import type { ShardAggregates } from "../kinesis/aggregates/shard-aggregates.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { ConsumerRecord } from "../record.ts";

/** A cursor over the records of a page. A stream record that is an aggregate counts as its user records. */
export interface RecordCursor {
  /** Number of records from the cursor on. An aggregate that is not opened yet counts as one. */
  readonly left: number;
  /** Whether the current record is the last one of its stream record: with it, the stream record is done. */
  readonly endsStreamRecord: boolean;
  /** Creates the current record, a new object for each call; undefined = the page has no more. */
  current(): ConsumerRecord | undefined;
  /** Moves behind the current record. */
  advance(): void;
  /** Moves behind this position. Without a sub-sequence number it stands for the whole stream record. */
  dropThrough(position: Position): void;
}

/** The records of one page. `aggregates` opens those that are aggregates; undefined = they are delivered as they are. */
export class PageCursor implements RecordCursor {
  readonly #records: PageRecords;
  readonly #shardId: string;
  readonly #millisBehindLatest: number;
  readonly #aggregates: ShardAggregates | undefined;
  readonly #frames: AggregateFrames | undefined;
  #index = 0;
  /** The current stream record, if it is an aggregate. */
  #aggregate: Aggregate | undefined;

  constructor(
    records: PageRecords,
    shardId: string,
    millisBehindLatest: number,
    aggregates: ShardAggregates | undefined,
  ) {
    this.#records = records;
    this.#shardId = shardId;
    this.#millisBehindLatest = millisBehindLatest;
    this.#aggregates = aggregates;
    this.#frames = aggregates && new AggregateFrames(records);
  }

  get left(): number {
    const records = this.#records.length - this.#index;
    return this.#aggregate === undefined ? records : records + this.#aggregate.left;
  }

  /** `approximateArrivalMs` of the stream record at the cursor; 0 if there is none. */
  get arrivalMs(): number {
    return this.#index < this.#records.length ? this.#records.arrivalMs(this.#index) : 0;
  }

  get endsStreamRecord(): boolean {
    return this.#aggregate === undefined || this.#aggregate.isLast;
  }

  current(): ConsumerRecord | undefined {
    for (; this.#index < this.#records.length; this.#index += 1) {
      if (this.#aggregate !== undefined) return this.#aggregate.record();
      const isFramed = this.#frames?.isFramed(this.#index) ?? false;
      const record = this.#records.record(this.#index, this.#shardId, this.#millisBehindLatest);
      if (!isFramed) return record;
      const aggregate = this.#aggregates?.open(record);
      if (aggregate === undefined) return record;
      // All of its user records may belong to other shards.
      if (aggregate.next()) this.#aggregate = aggregate;
      else continue;
      return aggregate.record();
    }
    return undefined;
  }

  advance(): void {
    if (this.#aggregate?.next()) return;
    this.#aggregate = undefined;
    this.#index += 1;
  }

  dropThrough({ sequenceNumber, subSequenceNumber }: Position): void {
    const records = this.#records;
    for (; this.#index < records.length; this.#index += 1) {
      const order = compareSequenceNumbers(records.sequenceNumber(this.#index), sequenceNumber);
      if (order > 0) return;
      if (order < 0 || subSequenceNumber === undefined) continue;
      // If it is not an aggregate (now), all of it is delivered again.
      if (!this.#enter(subSequenceNumber)) return;
      if (this.#aggregate !== undefined) return;
    }
  }

  /** Moves behind this user record of the current stream record. False = that is not an aggregate. */
  #enter(subSequenceNumber: number): boolean {
    if (!this.#frames?.isFramed(this.#index)) return false;
    const record = this.#records.record(this.#index, this.#shardId, this.#millisBehindLatest);
    const aggregate = this.#aggregates?.open(record, subSequenceNumber);
    if (aggregate === undefined) return false;
    while (aggregate.next()) {
      if (aggregate.sub <= subSequenceNumber) continue;
      this.#aggregate = aggregate;
      return true;
    }
    return true;
  }
}
