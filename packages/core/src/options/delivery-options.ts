import type { Decoder } from "../delivery/decode.ts";
import type { DeadLetterQueue } from "../delivery/letters/dead-letter.ts";
import type { ConsumerRecord } from "../record.ts";
import type { ScanOptions } from "./scan-options.ts";

/** What is handled in order: the records of a key, those of a shard, or none. */
export type Ordering = "key" | "shard" | "none";

/** How records are delivered to a handler, and what happens when it fails. */
export interface DeliveryOptions<Value = undefined> extends ScanOptions {
  /** The most records, or batches, of one shard in the handler at once, 1 to 10,000. @default 1 */
  readonly concurrency?: number;
  /**
   * What is handled in order where `concurrency` is above 1: the records of a key, those of a shard
   * (which leaves one at a time), or none. @default "key"
   */
  readonly ordering?: Ordering;
  /** What counts as the key. @default the partition key; a record without one has no order to keep */
  readonly key?: (record: ConsumerRecord) => string;
  /** How often a record is tried, and when. @default one attempt */
  readonly retry?: RetryOptions;
  /**
   * A record that arrived longer ago, in milliseconds, by the service's clock, is given up instead of
   * being tried (again). Needs `onFailure`. @default none
   */
  readonly maxRecordAgeMs?: number;
  /**
   * An attempt that takes longer, in milliseconds, has failed, and `context.signal` aborts. The next
   * attempt waits until the handler has returned, or for `drainTimeoutMs`. @default none
   */
  readonly handlerTimeoutMs?: number;
  /**
   * What becomes of a record that is given up: it ends the scan with HANDLER_FAILED, it is skipped with
   * a warning and a metric, or its letter goes to a queue, which stays yours to close. @default "stop"
   */
  readonly onFailure?: "stop" | "skip" | DeadLetterQueue;
  /**
   * Makes `record.value`: a function of the record, or a Standard Schema for its JSON. Both are
   * synchronous. A record that does not decode is given up without another attempt. @default none
   */
  readonly decode?: Decoder<Value>;
}

/** Attempts, and the waits between them: each is random, from `minDelayMs` up to a bound that grows. */
export interface RetryOptions {
  /** Attempts in all, the first one included; Infinity = as many as it takes. @default 3 */
  readonly maxAttempts?: number;
  /** The shortest wait, in milliseconds. @default 100 */
  readonly minDelayMs?: number;
  /** The longest wait, in milliseconds. @default 30000 */
  readonly maxDelayMs?: number;
  /**
   * The bound of the first wait is `minDelayMs` times this, and each further one is that many times the
   * one before. 1 = every wait is `minDelayMs`. @default 2
   */
  readonly factor?: number;
  /**
   * Called after a failure while attempts are left: should the record be tried again? With a batch it gets
   * the first record that failed. An error that it throws, or an answer that is no boolean, ends the scan.
   * @default always; a NonRetriableError is not asked about
   */
  readonly shouldRetry?: (error: unknown, record: ConsumerRecord) => boolean;
}

/**
 * Options of `scanTransaction`. A shard has one transaction at a time, in order: its checkpoint covers all
 * that comes before it, so none can overtake another.
 */
export interface TransactionOptions<Value = undefined> extends Omit<
  BatchOptions<Value>,
  "concurrency" | "ordering" | "key" | "bisect"
> {
  /**
   * Who opens the transaction: the store, or the handler by a library of its own, which then calls
   * `context.checkpoint`. @default "store"
   */
  readonly transaction?: "store" | "handler";
  /** As for `scanBatch`, but on. @default true */
  readonly bisect?: boolean;
}

/** How batches are formed. A batch has records of one shard. */
export interface BatchOptions<Value = undefined> extends DeliveryOptions<Value> {
  /** The most records of a batch, 1 to 10,000. @default 100 */
  readonly maxRecords?: number;
  /** The most bytes of data of a batch; a larger record is a batch of its own. @default 6 MiB */
  readonly maxBytes?: number;
  /**
   * How long the first record of a batch waits for more, in milliseconds. 0 = it does not wait.
   * @default 0
   */
  readonly maxWaitMs?: number;
  /**
   * A batch whose handler throws is halved and tried again, until the failing record stands alone. A
   * split is no attempt of `retry`. @default false
   */
  readonly bisect?: boolean;
}
