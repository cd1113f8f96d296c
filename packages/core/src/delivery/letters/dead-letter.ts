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

/** A record that was given up, with what is known of its failure. */
export interface DeadLetter {
  /** 32 hex digits, the same for the same record of the same application: see `deadLetterId`. */
  readonly id: string;
  readonly streamName: string;
  /** Present if the consumer was given the ARN. */
  readonly streamARN?: string;
  readonly application: string;
  readonly shardId: string;
  readonly sequenceNumber: string;
  /** Present for a user record of a KPL aggregate. */
  readonly subSequenceNumber?: number;
  /** Absent where the stream's records have none. */
  readonly partitionKey?: string;
  /** The record's data. Undefined = it is too large for the queue: read it from the stream. */
  readonly data: Uint8Array | undefined;
  readonly approximateArrivalTimestamp: Date;
  /** Until when the stream keeps the record. Absent = the consumer does not know the retention. */
  readonly retainedUntil?: Date;
  /** How often the handler was called with it. 0 = it was given up before the first attempt. */
  readonly attempts: number;
  /** When its first attempt failed, by this machine's clock. */
  readonly firstFailedAt: Date;
  readonly reason: DeadLetterReason;
  readonly error: DeadLetterFailure;
}

/** What the handler threw last. It may quote the record. */
export interface DeadLetterFailure {
  readonly name: string;
  /** One printable line of at most 1 KiB. */
  readonly message: string;
  readonly code?: string;
}

/**
 * Where records go that were given up. The consumer calls `send`, and neither opens nor closes the queue.
 * What every queue must keep is proved by `deadLetterConformance` of `@kc/conformance`.
 */
export interface DeadLetterQueue {
  /**
   * Resolves when the queue has acknowledged all letters. A rejection means that none is known to be
   * held: the consumer sends the same letters again, with a back-off, until they are acknowledged or the
   * shard stops. So a letter may come twice: a queue keeps one letter for each id where it can.
   *
   * A letter whose data the queue cannot hold is kept without them. The letters are the queue's only
   * until the call ends. `signal` aborts when the shard stops; the call then rejects with its reason.
   * @throws DeadLetterError; StoreError, if the queue is a store's
   */
  send(letters: readonly DeadLetter[], options: { readonly signal: AbortSignal }): Promise<void>;
  /** Closes what the queue opened itself. Idempotent. A later `send` rejects. */
  close(): Promise<void>;
}

export interface DeadLetterListOptions {
  /** Letters of this application alone. @default all */
  readonly application?: string;
  /** The most letters that one call answers with, 1 to 1,000. @default 100 */
  readonly limit?: number;
  /** The `next` of the page before. @default the first page */
  readonly after?: string;
}

export interface DeadLetterPage {
  readonly letters: readonly DeadLetter[];
  /** Where the next page begins. Absent = this was the last one. */
  readonly next?: string;
}

/** A queue whose letters can be read back one by one, to look at them and to handle them again. */
export interface ReadableDeadLetterQueue extends DeadLetterQueue {
  /** A page of the letters, in an order of the queue's own. Each letter is on one page. */
  list(options?: DeadLetterListOptions): Promise<DeadLetterPage>;
  /** Undefined = there is no such letter. */
  get(id: string): Promise<DeadLetter | undefined>;
  /** Ids that are not there are ignored. */
  remove(ids: readonly string[]): Promise<void>;
}

/** Dead letters in a store's database, in a table of their own. Closing it leaves the store open. */
export interface DeadLetterTable extends ReadableDeadLetterQueue {
  /** Makes the table unless it is there. Idempotent. @throws StoreError */
  setup(options?: CallOptions): Promise<void>;
}

/**
 * A table whose letters can be put in a transaction of its store. `scanTransaction` of a consumer with
 * that very store puts a letter and the checkpoint of its record in one.
 */
export interface TransactionalDeadLetters<Tx = unknown> extends ReadableDeadLetterQueue {
  readonly store: TransactionalStore<Tx>;
  /**
   * Puts the letters within the transaction, as `send` does by itself. Where the store's work is
   * synchronous, so is this. @throws as the store's `transact` says of its work
   */
  sendIn(tx: Tx, letters: readonly DeadLetter[]): void | PromiseLike<void>;
}

/** What names a record for good. */
export type DeadLetterKey = Pick<
  DeadLetter,
  "streamName" | "application" | "shardId" | "sequenceNumber" | "subSequenceNumber"
>;

const ID_DIGITS = 32;

/** The first 32 hex digits of a SHA-256 over the names and numbers of a record. */
export function deadLetterId(key: DeadLetterKey): string {
  const { streamName, application, shardId, sequenceNumber, subSequenceNumber } = key;
  // JSON keeps the parts apart, whatever they contain.
  const text = JSON.stringify([
    streamName,
    application,
    shardId,
    sequenceNumber,
    subSequenceNumber ?? null,
  ]);
  return createHash("sha256").update(text).digest("hex").slice(0, ID_DIGITS);
}

/** What the letters of one consumer have in common. */
export interface LetterSource {
  readonly streamName: string;
  readonly streamARN?: string | undefined;
  readonly application: string;
  /** How long the stream keeps its records, in milliseconds; undefined = it is not known. */
  readonly retentionMs?: number | undefined;
}

/** How a record failed. */
export interface RecordFailure {
  readonly attempts: number;
  readonly firstFailedAt: Date;
  readonly reason: DeadLetterReason;
  /** What was thrown last. */
  readonly error: unknown;
}

/** The letter of a record that is given up. It has data of its own. */
export function deadLetterOf(
  { streamName, streamARN, application, retentionMs }: LetterSource,
  record: ConsumerRecord,
  { attempts, firstFailedAt, reason, error }: RecordFailure,
): DeadLetter {
  const { shardId, sequenceNumber, subSequenceNumber, partitionKey } = record;
  const { approximateArrivalTimestamp: arrived } = record;
  const key = { streamName, application, shardId, sequenceNumber, ...given({ subSequenceNumber }) };
  return {
    id: deadLetterId(key),
    ...key,
    ...given({ streamARN, partitionKey }),
    data: record.data.slice(),
    approximateArrivalTimestamp: arrived,
    ...(retentionMs !== undefined && { retainedUntil: new Date(arrived.getTime() + retentionMs) }),
    attempts,
    firstFailedAt,
    reason,
    error: {
      name: firstKibibyte(nameOfError(error)),
      message: firstKibibyte(messageOfError(error)),
      ...given({ code: codeOfError(error) }),
    },
  };
}

/** The letter without its data, for a queue that cannot hold them. */
export function pointerTo(letter: DeadLetter): DeadLetter {
  return { ...letter, data: undefined };
}

/** The members that are there. */
function given<Members extends object>(
  members: Members,
): { [Name in keyof Members]?: Exclude<Members[Name], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Name in keyof Members]?: never };
}

/** Cut between characters; halves of surrogate pairs, which no database takes, become U+FFFD. */
function firstKibibyte(text: string): string {
  const bytes = new Uint8Array(1024);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  return new TextDecoder().decode(bytes.subarray(0, written));
}
