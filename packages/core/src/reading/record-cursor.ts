import { compareSequenceNumbers, type Position } from "../checkpoints/position.ts";
import type { PageRecords } from "../kinesis/page-records.ts";
import type { ConsumerRecord } from "../record.ts";

/** A page's records in order, each made when its turn comes. One stream record may hold several. */
export interface RecordCursor {
  /** Stream records that are not passed yet. */
  readonly left: number;
  /** The record at the cursor, created by each call; undefined = the page is over. */
  current(): ConsumerRecord | undefined;
  /** Passes the record at the cursor. */
  advance(): void;
  /** Passes what lies at or before this position. A position without sub-sequence number is a whole record. */
  dropThrough(position: Position): void;
}

/** A cursor that makes one record of each stream record. */
export class PageCursor implements RecordCursor {
  readonly #records: PageRecords;
  readonly #shardId: string;
  readonly #millisBehindLatest: number;
  #index = 0;

  constructor(records: PageRecords, shardId: string, millisBehindLatest: number) {
    this.#records = records;
    this.#shardId = shardId;
    this.#millisBehindLatest = millisBehindLatest;
  }

  get left(): number {
    return this.#records.length - this.#index;
  }

  current(): ConsumerRecord | undefined {
    if (this.#index >= this.#records.length) return undefined;
    return this.#records.record(this.#index, this.#shardId, this.#millisBehindLatest);
  }

  advance(): void {
    this.#index += 1;
  }

  /** A record is delivered as a whole here: if only a part of it was done, it is delivered again. */
  dropThrough({ sequenceNumber, subSequenceNumber }: Position): void {
    const atMost = subSequenceNumber === undefined ? 0 : -1;
    while (
      this.left > 0 &&
      compareSequenceNumbers(this.#records.sequenceNumber(this.#index), sequenceNumber) <= atMost
    ) {
      this.#index += 1;
    }
  }
}
