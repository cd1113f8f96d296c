import { createHash } from "node:crypto";
import type { CallOptions } from "../../checkpoints/store.ts";
import type { TransactionalStore } from "../../checkpoints/transactional-store.ts";
import { messageOfError, nameOfError } from "../../describe-error.ts";
import type { ConsumerRecord } from "../../record.ts";
import { codeOfError } from "../../without-message.ts";

/**
 * Why a record was given up:
 * - `attempts`: the last attempt of `retry` failed;
 * - `age`: it was older than `maxRecordAgeMs`;
 * - `non-retriable`: the handler threw a `NonRetriableError`, or `shouldRetry` answered false;
 * - `undecodable`: `decode` refused it.
 */
export type DeadLetterReason = "attempts" | "age" | "non-retriable" | "undecodable";

/** A record that was given up, with the details of its failure. */
export interface DeadLetter {
  /** 32 hex digits, always the same for one record of one application: see `deadLetterId`. */
  readonly id: string;
  readonly streamName: string;
  /** Present if the consumer was given the ARN. */
  readonly streamARN?: string;
  readonly application: string;
  readonly shardId: string;
  readonly sequenceNumber: string;
  /** Present for a user record of a KPL aggregate. */
  readonly subSequenceNumber?: number;
  /** Absent if the record has none. */
  readonly partitionKey?: string;
  /** The record's data. Undefined if they are too large for the queue: read the record from the stream. */
  readonly data: Uint8Array | undefined;
  readonly approximateArrivalTimestamp: Date;
  /** Until when the stream retains the record. Absent if the consumer does not know the retention period. */
  readonly retainedUntil?: Date;
  /** How often the handler was called with the record. 0 = it was given up before the first attempt. */
  readonly attempts: number;
  /** When the first attempt failed, by this machine's clock. */
  readonly firstFailedAt: Date;
  readonly reason: DeadLetterReason;
  readonly error: DeadLetterFailure;
}

/** The last error of the handler. It may quote the record. */
export interface DeadLetterFailure {
  readonly name: string;
  /** One printable line of at most 1 KiB. */
  readonly message: string;
  readonly code?: string;
}

/**
 * The destination of records that were given up. The consumer calls `send`, and neither opens nor closes the
 * queue. `deadLetterConformance` of `@kc/conformance` tests what every queue must guarantee.
 */
export interface DeadLetterQueue {
  /**
   * Resolves when the queue has stored all letters durably. After a rejection none counts as stored: the
   * consumer sends the same letters again, with backoff, until the call succeeds or the shard stops. So a
   * letter may be sent twice: a queue should keep one letter for each id where it can.
   *
   * A letter whose data are too large for the queue is stored without them. The queue must not use the
   * letters after the call has ended. `signal` aborts when the shard stops; the call then rejects with its
   * reason.
   * @throws DeadLetterError; StoreError if the queue belongs to a store
   */
  send(letters: readonly DeadLetter[], options: { readonly signal: AbortSignal }): Promise<void>;
  /** Closes the resources that the queue itself opened. Idempotent. A later `send` rejects. */
  close(): Promise<void>;
}

export interface DeadLetterListOptions {
  /** Only letters of this application. @default all */
  readonly application?: string;
  /** The most letters that one call returns, 1 to 1,000. @default 100 */
  readonly limit?: number;
  /** The `next` of the previous page. @default the first page */
  readonly after?: string;
}

export interface DeadLetterPage {
  readonly letters: readonly DeadLetter[];
  /** Pass it as `after` to get the next page. Absent on the last page. */
  readonly next?: string;
}

/** A queue whose letters can be read back, to inspect them and to process them again. */
export interface ReadableDeadLetterQueue extends DeadLetterQueue {
  /** A page of the letters, in an order that the queue chooses. Each letter is on exactly one page. */
  list(options?: DeadLetterListOptions): Promise<DeadLetterPage>;
  /** Returns undefined if there is no such letter. */
  get(id: string): Promise<DeadLetter | undefined>;
  /** Removes letters. Unknown ids are ignored. */
  remove(ids: readonly string[]): Promise<void>;
}

/** Dead letters in a table of a store's database. Closing it leaves the store open. */
export interface DeadLetterTable extends ReadableDeadLetterQueue {
  /** Creates the table if it does not exist. Idempotent. @throws StoreError */
  setup(options?: CallOptions): Promise<void>;
}

/**
 * A table whose letters can be written in a transaction of its store. `scanTransaction` of a consumer with
 * the same store writes a letter and the checkpoint of its record in one transaction.
 */
export interface TransactionalDeadLetters<Tx = unknown> extends ReadableDeadLetterQueue {
  readonly store: TransactionalStore<Tx>;
  /**
   * Writes the letters within the transaction, as `send` does outside of one. Synchronous if the store's
   * transactions are. @throws as the work of the store's `transact` may
   */
  sendIn(tx: Tx, letters: readonly DeadLetter[]): void | PromiseLike<void>;
}

/** What identifies a record permanently. */
export type DeadLetterKey = Pick<
  DeadLetter,
  "streamName" | "application" | "shardId" | "sequenceNumber" | "subSequenceNumber"
>;

const ID_DIGITS = 32;

/** The first 32 hex digits of the SHA-256 of the record's key. */
export function deadLetterId(key: DeadLetterKey): string {
  const { streamName, application, shardId, sequenceNumber, subSequenceNumber } = key;
  // JSON delimits the parts unambiguously, whatever they contain.
  const text = JSON.stringify([
    streamName,
    application,
    shardId,
    sequenceNumber,
    subSequenceNumber ?? null,
  ]);
  return createHash("sha256").update(text).digest("hex").slice(0, ID_DIGITS);
}

/** The fields that all letters of one consumer share. */
export interface LetterSource {
  readonly streamName: string;
  readonly streamARN?: string | undefined;
  readonly application: string;
  /** How long the stream retains its records, in milliseconds; undefined = not known. */
  readonly retentionMs?: number | undefined;
}

/** The details of a record's failure. */
export interface RecordFailure {
  readonly attempts: number;
  readonly firstFailedAt: Date;
  readonly reason: DeadLetterReason;
  /** The last error. */
  readonly error: unknown;
}

/** The letter of a record that is given up, with a copy of the record's data. */
export function deadLetterOf(
  { streamName, streamARN, application, retentionMs }: LetterSource,
  record: ConsumerRecord,
  { attempts, firstFailedAt, reason, error }: RecordFailure,
): DeadLetter {
  const { shardId, sequenceNumber, subSequenceNumber, partitionKey } = record;
  const { approximateArrivalTimestamp: arrived } = record;
  const key = {
    streamName,
    application,
    shardId,
    sequenceNumber,
    ...defined({ subSequenceNumber }),
  };
  return {
    id: deadLetterId(key),
    ...key,
    ...defined({ streamARN, partitionKey }),
    data: record.data.slice(),
    approximateArrivalTimestamp: arrived,
    ...(retentionMs !== undefined && { retainedUntil: new Date(arrived.getTime() + retentionMs) }),
    attempts,
    firstFailedAt,
    reason,
    error: {
      name: firstKibibyte(nameOfError(error)),
      message: firstKibibyte(messageOfError(error)),
      ...defined({ code: codeOfError(error) }),
    },
  };
}

/** The letter without its data, for a queue for which they are too large. */
export function pointerTo(letter: DeadLetter): DeadLetter {
  return { ...letter, data: undefined };
}

/** The members that are not undefined. */
function defined<Members extends object>(
  members: Members,
): { [Name in keyof Members]?: Exclude<Members[Name], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Name in keyof Members]?: never };
}

/** Truncated between characters. Lone surrogates, which no database accepts, become U+FFFD. */
function firstKibibyte(text: string): string {
  const bytes = new Uint8Array(1024);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  return new TextDecoder().decode(bytes.subarray(0, written));
}
