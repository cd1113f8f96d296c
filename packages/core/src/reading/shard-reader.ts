import type { Position } from "../checkpoints/position.ts";
import type { HashKeyRange } from "../kinesis/hash-key-range.ts";
import type { IteratorPosition } from "../kinesis/shard-calls.ts";
import type { Shard } from "../kinesis/shard.ts";
import type { Reservation } from "./read-account.ts";
import type { RecordCursor } from "./record-cursor.ts";

/** One page of a shard, on its way to the handler. Its taker releases the memory. */
export interface Page {
  /** What is left to deliver. What reading resumed at is dropped already. */
  readonly records: RecordCursor;
  /** Of the last record that the service sent with it, delivered or dropped; undefined = none. */
  readonly lastSequenceNumber: string | undefined;
  readonly millisBehindLatest: number;
  /** When the reply was complete, by the monotonic clock. */
  readonly receivedAt: number;
  /** Present in the last page of a closed shard. Some emulators leave the children out. */
  readonly end: { readonly children: readonly Shard[] } | undefined;
  readonly memory: PageMemory;
}

/** What a page takes up. */
export type PageMemory = Pick<Reservation, "taken" | "hold" | "shrinkTo" | "release">;

export interface ReaderStatus {
  /** Records of pages that wait for `next`. */
  readonly recordsAhead: number;
  /** How far the shard is behind its tip where `next` continues, in milliseconds. */
  readonly lagMs: number;
  /** Does a page wait for `next`? */
  readonly hasPage: boolean;
  /** Since when the next page has been due, whether one waits or not, in milliseconds. */
  readonly overdueMs: number;
  /** Since the last request began, in milliseconds; undefined = there was none. */
  readonly sinceLastPollMs: number | undefined;
  /** Has a request been answered? */
  readonly answered: boolean;
}

/** Reads one shard in order. Whoever opens a reader closes it: it holds memory of the whole scan. */
export interface ShardReader {
  /**
   * The next page; undefined when retention has removed the shard from the stream. Passing errors
   * are retried inside. @throws the reason of `stop`; KcError, after the pages that were read before it
   */
  next(): Promise<Page | undefined>;
  /** The last page looked like the shard's end, and was not: read on after it. */
  reopen(): void;
  /** @param now by the monotonic clock */
  status(now: number): ReaderStatus;
  /** Reads no more, and releases what was not taken with `next`. Idempotent. */
  close(): void;
}

/** Opens the reader of one shard. */
export type OpenReader = (shard: ReadShard) => ShardReader;

/** What a reader has to know of its shard. */
export interface ReadShard {
  readonly shardId: string;
  readonly start: ReadStart;
  /** As `ShardAssignment.hashKeyRange`: it may become known while the shard is read. */
  readonly hashKeyRange: () => HashKeyRange | undefined;
  /** Aborts when nothing more is to be delivered: nothing more is read, and nothing waits. */
  readonly stop: AbortSignal;
  /** Is the handler at a record of this shard? Else its pages wait, as others do. */
  readonly isHandling: () => boolean;
}

/** Where reading begins. */
export interface ReadStart {
  readonly from: IteratorPosition;
  /** The last position that was delivered before; undefined = none. */
  readonly delivered: Position | undefined;
}
