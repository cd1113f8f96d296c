import { setTimeout as delay } from "node:timers/promises";
import {
  KinesisClient,
  PutRecordsCommand,
  type PutRecordsCommandOutput,
  type PutRecordsRequestEntry,
} from "@aws-sdk/client-kinesis";
import type { DeadLetter, DeadLetterQueue } from "@kc/core";
import { LetterCalls, letterText, requestsOf } from "@kc/core/adapter";
import { FAILURES } from "./failures.ts";
import {
  checkOptions,
  type CheckedOptions,
  type KinesisDeadLetterQueueOptions,
} from "./options.ts";

interface Entry {
  readonly record: PutRecordsRequestEntry;
  /** Data and partition key. */
  readonly bytes: number;
}

/** The maximum number of records in a request, and of their bytes. */
const REQUEST = { most: 500, maxBytes: 5 * 1_048_576 };
/** The maximum number of attempts of records that were refused in a partial failure. */
const MAX_ATTEMPTS = 8;
const BASE_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1000;

/**
 * Dead letters in another Kinesis stream: one record for each letter, encoded by `encodeDeadLetter`. It has the partition
 * key of the failed record, or its shard's id if the record has none. A letter may be delivered more than once.
 */
export class KinesisDeadLetterQueue implements DeadLetterQueue {
  readonly #options: CheckedOptions;
  readonly #calls: LetterCalls;
  #own: KinesisClient | undefined;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: KinesisDeadLetterQueueOptions) {
    this.#options = checkOptions(options);
    const { streamName, timeoutMs } = this.#options;
    this.#calls = new LetterCalls({
      where: `Kinesis stream ${streamName}`,
      timeoutMs,
      failures: FAILURES,
      denied: "the credentials are wrong or lack kinesis:PutRecords on the stream",
    });
  }

  /** @throws also DEAD_LETTERS_REFUSED for a letter of this same stream, which would be consumed again as a record */
  async send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.#calls.checkOpen();
    signal.throwIfAborted();
    this.#checkStreams(letters);
    let left: Iterable<Entry> = this.#entriesOf(letters);
    for (let attempt = 1; ; attempt += 1) {
      const { refused, error } = await this.#sendOnce(left, signal);
      if (refused.length === 0) return;
      if (attempt === MAX_ATTEMPTS) throw this.#calls.failureOf(error);
      await backOff(attempt, signal);
      left = refused;
    }
  }

  /** Idempotent. Calls in flight reject with DEAD_LETTERS_CLOSED. */
  async close(): Promise<void> {
    this.#calls.close();
    this.#own?.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkStreams(letters: readonly DeadLetter[]): void {
    const { stream, streamName } = this.#options;
    const arn = "StreamARN" in stream ? stream.StreamARN : undefined;
    const own = letters.find(
      (letter) =>
        letter.streamName === streamName &&
        (arn === undefined || letter.streamARN === undefined || letter.streamARN === arn),
    );
    if (own === undefined) return;
    throw this.#calls.failure({
      retryable: false,
      advice:
        "the letters come from this very stream, and would be consumed again as records: use another one",
    });
  }

  /** Encoded lazily, one after another. */
  *#entriesOf(letters: readonly DeadLetter[]): Generator<Entry> {
    for (const letter of letters) {
      const PartitionKey = letter.partitionKey || letter.shardId;
      const keyBytes = Buffer.byteLength(PartitionKey);
      const { text, bytes } = letterText(letter, this.#options.maxRecordBytes - keyBytes);
      yield { record: { Data: Buffer.from(text), PartitionKey }, bytes: bytes + keyBytes };
    }
  }

  /** Returns the refused entries, and the first refusal as an error. */
  async #sendOnce(
    entries: Iterable<Entry>,
    signal: AbortSignal,
  ): Promise<{ readonly refused: readonly Entry[]; readonly error: Error | undefined }> {
    const refused: Entry[] = [];
    let error: Error | undefined;
    for (const group of requestsOf(entries, REQUEST)) {
      const { Records: results = [] } = await this.#calls.run<PutRecordsCommandOutput>(
        (abortSignal) =>
          this.#client().send(
            new PutRecordsCommand({
              ...this.#options.stream,
              Records: group.map(({ record }) => record),
            }),
            { abortSignal },
          ),
        signal,
      );
      for (const [index, entry] of group.entries()) {
        const result = results[index];
        // A record without a sequence number is not in the stream.
        if (result?.SequenceNumber !== undefined && result.ErrorCode === undefined) continue;
        refused.push(entry);
        error ??= Object.assign(new Error(result?.ErrorMessage ?? "no sequence number came back"), {
          name: result?.ErrorCode ?? "InternalFailure",
        });
      }
    }
    return { refused, error };
  }

  #client(): NonNullable<CheckedOptions["client"]> {
    return this.#options.client ?? (this.#own ??= new KinesisClient());
  }
}

/** Exponential backoff with full jitter. */
async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const ms = Math.random() * Math.min(MAX_BACKOFF_MS, BASE_BACKOFF_MS * 2 ** (attempt - 1));
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
