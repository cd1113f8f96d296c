import type { Position } from "../checkpoints/position.ts";
import type { HashKeyRange } from "../kinesis/hash-key-range.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { Reservation } from "./read-account.ts";
import type { RecordCursor } from "./record-cursor.ts";

/** One page of a shard, for delivery. The caller of `next` must release its memory. */
export interface Page {
  /** The records to deliver, without those that were delivered before. */
  readonly records: RecordCursor;
  /** Of the last record in the reply, even if that was dropped; `undefined` if the reply has no records. */
  readonly lastSequenceNumber: string | undefined;
  readonly millisBehindLatest: number;
  /** `approximateArrivalMs` of the first of `records`; 0 if it is unknown. */
  readonly arrivalMs: number;
  /** When the reply was complete, by the monotonic clock. */
  readonly receivedAt: number;
  /** Set in the last page of a closed shard. Some emulators leave out the children. */
  readonly end: { readonly children: readonly Shard[] } | undefined;
  readonly memory: PageMemory;
}

/** The memory of a page. */
export type PageMemory = Pick<Reservation, "taken" | "hold" | "shrinkTo" | "release">;

export interface ReaderStatus {
  /** The number of records in buffered pages. */
  readonly recordsAhead: number;
  /** How far the next page is behind the shard's tip, in milliseconds. */
  readonly lagMs: number;
  /** Whether a page is buffered. */
  readonly hasPage: boolean;
  /** `arrivalMs` of that page; 0 if there is none. */
  readonly arrivalMs: number;
  /** How long the next poll has been due, whether a page is buffered or not, in milliseconds. */
  readonly overdueMs: number;
  /** The time since the last request began, in milliseconds; `undefined` if there was none. */
  readonly sinceLastPollMs: number | undefined;
  /** Whether a request has succeeded. */
  readonly answered: boolean;
}

/** Reads one shard in order. The caller that opens a reader must close it: it holds memory of the scan. */
export interface ShardReader {
  /**
   * Waits for the next page; `undefined` if retention has removed the shard from the stream. Transient errors are
   * retried internally. @throws the reason of `stop`; KcError, after the pages that were read before it
   */
  next(): Promise<Page | undefined>;
  /** Continues after the last page, which looked like the shard's end but was not. */
  reopen(): void;
  /** @param now by the monotonic clock */
  status(now: number): ReaderStatus;
  /** Stops reading, and releases buffered pages. Idempotent. */
  close(): void;
}

/** Opens the reader of one shard. */
export type OpenReader = (shard: ReadShard) => ShardReader;

/** The shard to read. */
export interface ReadShard {
  readonly shardId: string;
  readonly start: ReadStart;
  /** As `ShardAssignment.hashKeyRange`. It may become known while the shard is read. */
  readonly hashKeyRange: () => HashKeyRange | undefined;
  /** Aborts when nothing more must be delivered: then reading stops, and buffered pages are dropped. */
  readonly stop: AbortSignal;
  /** Whether the handler is running for a record of this shard. */
  readonly isHandling: () => boolean;
}

/** Where reading begins. */
export interface ReadStart {
  readonly from: IteratorPosition;
  /** The last position that was delivered before; `undefined` if there is none. */
  readonly delivered: Position | undefined;
}
