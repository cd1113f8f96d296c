import type { Decoder } from "../delivery/decode.ts";
import type { DeadLetterQueue } from "../delivery/letters/dead-letter.ts";
import type { ConsumerRecord } from "../record.ts";
import type { ScanOptions } from "./scan-options.ts";

/** Which records are handled in order: those with the same key, those of a shard, or none. */
export type Ordering = "key" | "shard" | "none";

/** How records are delivered to the handler, and what happens when it fails. */
export interface DeliveryOptions<Value = undefined> extends ScanOptions {
  /** Maximum number of records (or batches) of one shard handled concurrently, 1 to 10,000. @default 1 */
  readonly concurrency?: number;
  /**
   * Which records are handled in order if `concurrency` is above 1: those with the same key, or none. "shard"
   * allows no concurrency. @default "key"
   */
  readonly ordering?: Ordering;
  /** Returns the key of a record. @default the partition key; records without one are not ordered */
  readonly key?: (record: ConsumerRecord) => string;
  /** How often and when a failed record is tried again. @default one attempt */
  readonly retry?: RetryOptions;
  /**
   * Maximum age of a record in milliseconds, since it arrived, by the service's clock. An older record is given up
   * instead of being tried (again). Requires `onFailure: "skip"` or a queue. @default none
   */
  readonly maxRecordAgeMs?: number;
  /**
   * Timeout of an attempt in milliseconds. An attempt that takes longer fails, and `context.signal` aborts. The
   * next attempt waits until the handler has returned, for at most `drainTimeoutMs`. @default none
   */
  readonly handlerTimeoutMs?: number;
  /**
   * What to do with a record that is given up. "stop" ends the scan with HANDLER_FAILED, "skip" skips the record
   * with a warning and a metric, a queue receives it as a dead letter. The caller closes the queue. @default "stop"
   */
  readonly onFailure?: "stop" | "skip" | DeadLetterQueue;
  /**
   * Decodes a record into `record.value`: a function of the record, or a Standard Schema for its JSON. Must be
   * synchronous. A record that cannot be decoded is given up without another attempt. @default none
   */
  readonly decode?: Decoder<Value>;
}

/** Number of attempts, and the delays between them: random, from `minDelayMs` up to a bound that grows. */
export interface RetryOptions {
  /** Maximum number of attempts, including the first; Infinity = no limit. @default 3 */
  readonly maxAttempts?: number;
  /** Minimum delay in milliseconds. @default 100 */
  readonly minDelayMs?: number;
  /** Maximum delay in milliseconds. @default 30000, or `minDelayMs` if that is more */
  readonly maxDelayMs?: number;
  /**
   * Growth of the bound, 1 to 1000: the first is `minDelayMs * factor`, each further one is `factor` times the
   * previous. 1 = every delay is `minDelayMs`. @default 2
   */
  readonly factor?: number;
  /**
   * Called after a failure if attempts are left; returns whether to try the record again. For a batch it receives
   * the first failed record. Throwing, or returning anything but a boolean, ends the scan. Not called for a
   * NonRetriableError. @default always true
   */
  readonly shouldRetry?: (error: unknown, record: ConsumerRecord) => boolean;
}

/**
 * Options of `scanTransaction`. A shard has one transaction at a time, in order, because a checkpoint covers
 * everything before it.
 */
export interface TransactionOptions<Value = undefined> extends Omit<
  BatchOptions<Value>,
  "concurrency" | "ordering" | "key" | "bisect"
> {
  /**
   * Who opens the transaction: the store, or the handler with its own library, which then calls
   * `context.checkpoint`. @default "store"
   */
  readonly transaction?: "store" | "handler";
  /** As for `scanBatch`, but enabled by default. @default true, unless `maxRecords` is 1 */
  readonly bisect?: boolean;
}

/** How batches are formed. A batch contains records of one shard. */
export interface BatchOptions<Value = undefined> extends DeliveryOptions<Value> {
  /** Maximum number of records in a batch, 1 to 10,000. @default 100 */
  readonly maxRecords?: number;
  /** Maximum bytes of data in a batch; a larger record is a batch of its own. @default 6 MiB */
  readonly maxBytes?: number;
  /** Maximum milliseconds that the first record of a batch waits for more; 0 = no wait. @default 0 */
  readonly maxWaitMs?: number;
  /**
   * Whether to halve a failed batch and try each half, until the failing record is alone. A split does not count
   * as an attempt of `retry`. @default false
   */
  readonly bisect?: boolean;
}
