import { compareSequenceNumbers, type Position } from "../checkpoints/position.ts";
import { AggregateFrames } from "../kinesis/aggregates/aggregate-frames.ts";
import type { Aggregate } from "../kinesis/aggregates/aggregate.ts";
import type { ShardAggregates } from "../kinesis/aggregates/shard-aggregates.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { ConsumerRecord } from "../record.ts";

/** A page's records in order, each made when its turn comes. One stream record may hold several. */
export interface RecordCursor {
  /** Records that are not passed yet. An aggregate counts as one until its turn comes. */
  readonly left: number;
  /** Is the record at the cursor the last one of its stream record? With it the stream record is done. */
  readonly endsStreamRecord: boolean;
  /** The record at the cursor, created by each call; undefined = the page is over. */
  current(): ConsumerRecord | undefined;
  /** Passes the record at the cursor. */
  advance(): void;
  /** Passes what lies at or before this position. A position without sub-sequence number is a whole record. */
  dropThrough(position: Position): void;
}

/** The records of one page. With `aggregates`, those that hold user records are taken apart. */
export class PageCursor implements RecordCursor {
  readonly #records: PageRecords;
  readonly #shardId: string;
  readonly #millisBehindLatest: number;
  readonly #aggregates: ShardAggregates | undefined;
  readonly #frames: AggregateFrames | undefined;
  #index = 0;
  /** The stream record at the cursor, if it is one. */
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

  get endsStreamRecord(): boolean {
    return this.#aggregate === undefined || this.#aggregate.isLast;
  }

  current(): ConsumerRecord | undefined {
    for (; this.#index < this.#records.length; this.#index += 1) {
      if (this.#aggregate !== undefined) return this.#aggregate.record();
      const isFramed = this.#frames?.isFramed(this.#index) ?? false;
      const record = this.#records.record(this.#index, this.#shardId, this.#millisBehindLatest);
      if (!isFramed) return record;
      const aggregate = this.#aggregates?.open(record, true);
      if (aggregate === undefined) return record;
      // All of its user records may be other shards'.
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
      // If it is delivered as a whole now, it is delivered again.
      if (!this.#enter(subSequenceNumber)) return;
      if (this.#aggregate !== undefined) return;
    }
  }

  /** Enters the aggregate at the cursor behind this user record; false = it is none. */
  #enter(subSequenceNumber: number): boolean {
    if (!this.#frames?.isFramed(this.#index)) return false;
    const record = this.#records.record(this.#index, this.#shardId, this.#millisBehindLatest);
    const aggregate = this.#aggregates?.open(record, false);
    if (aggregate === undefined) return false;
    while (aggregate.next()) {
      if (aggregate.sub <= subSequenceNumber) continue;
      this.#aggregate = aggregate;
      return true;
    }
    return true;
  }
}
