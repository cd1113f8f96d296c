import { setTimeout as delay } from "node:timers/promises";
import {
  SendMessageBatchCommand,
  SQSClient,
  type SendMessageBatchCommandOutput,
} from "@aws-sdk/client-sqs";
import type { DeadLetter, DeadLetterQueue } from "@kc/core";
import { LetterCalls, pointerTo, requestsOf } from "@kc/core/adapter";
import { FAILURES, failureOf, isTooLong, type Refusal } from "./failures.ts";
import { messageOf, type Message } from "./messages.ts";
import { checkOptions, type CheckedOptions, type SqsDeadLetterQueueOptions } from "./options.ts";

/** The maximum number of messages in a request. */
const MAX_MESSAGES = 10;
/** The maximum number of attempts of messages that were refused in a partial failure. */
const MAX_ATTEMPTS = 5;
const BASE_BACKOFF_MS = 50;

/**
 * Dead letters in an SQS queue: one message for each letter. The body is encoded by `encodeDeadLetter`; `id`,
 * `streamName`, `application`, `shardId` and `reason` are message attributes.
 *
 * A standard queue may contain a letter more than once. A FIFO queue drops a letter that it received within the last five
 * minutes; the message group is the shard.
 */
export class SqsDeadLetterQueue implements DeadLetterQueue {
  readonly #options: CheckedOptions;
  readonly #calls: LetterCalls;
  #own: SQSClient | undefined;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: SqsDeadLetterQueueOptions) {
    this.#options = checkOptions(options);
    this.#calls = new LetterCalls({
      where: `SQS queue ${this.#options.queueUrl}`,
      timeoutMs: this.#options.timeoutMs,
      failures: FAILURES,
      denied: "the credentials are wrong or lack sqs:SendMessage on the queue",
    });
  }

  async send(
    letters: readonly DeadLetter[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    this.#calls.checkOpen();
    signal.throwIfAborted();
    let left: Iterable<Message> = this.#messagesOf(letters);
    for (let attempt = 1; ; attempt += 1) {
      const refused = await this.#sendOnce(left, signal);
      if (refused.length === 0) return;
      const failures = refused.map(({ refusal }) => failureOf(refusal));
      const lasting = failures.find((failure, index) => {
        return !failure.retryable && !shrinks(refused[index]!);
      });
      if (lasting !== undefined || attempt === MAX_ATTEMPTS) {
        throw this.#calls.failure(lasting ?? failures[0]!);
      }
      await backOff(attempt, signal);
      left = refused.map((each) => (shrinks(each) ? this.#pointer(each.message) : each.message));
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

  /** Encoded lazily, one after another: there may be many, of a MiB each. */
  *#messagesOf(letters: readonly DeadLetter[]): Generator<Message> {
    const { isFifo, maxMessageBytes } = this.#options;
    for (const letter of letters) yield messageOf(letter, isFifo, maxMessageBytes);
  }

  #pointer({ letter }: Message): Message {
    const { isFifo, maxMessageBytes } = this.#options;
    return messageOf(pointerTo(letter), isFifo, maxMessageBytes);
  }

  /** Sends one request after the other, and returns the messages that were not accepted. */
  async #sendOnce(messages: Iterable<Message>, signal: AbortSignal): Promise<readonly Refused[]> {
    const { queueUrl: QueueUrl, maxMessageBytes: maxBytes } = this.#options;
    const refused: Refused[] = [];
    for (const group of requestsOf(messages, { most: MAX_MESSAGES, maxBytes })) {
      const Entries = group.map(({ entry }, index) => ({ ...entry, Id: String(index) }));
      const { Successful = [], Failed = [] } = await this.#calls.run<SendMessageBatchCommandOutput>(
        (abortSignal) =>
          this.#client().send(new SendMessageBatchCommand({ QueueUrl, Entries }), { abortSignal }),
        signal,
      );
      // A message that is not acknowledged was not accepted, whether the response names it or not.
      const taken = new Set(Successful.map(({ Id }) => Id));
      for (const [index, message] of group.entries()) {
        const id = String(index);
        if (taken.has(id)) continue;
        refused.push({ message, refusal: Failed.find(({ Id }) => Id === id) ?? {} });
      }
    }
    return refused;
  }

  #client(): NonNullable<CheckedOptions["client"]> {
    return this.#options.client ?? (this.#own ??= new SQSClient());
  }
}

interface Refused {
  readonly message: Message;
  readonly refusal: Refusal;
}

/** Whether the queue's limit is lower than `maxMessageBytes`, and the message has data to omit. */
function shrinks({ message, refusal }: Refused): boolean {
  return isTooLong(refusal) && message.letter.data !== undefined;
}

/** Exponential backoff with full jitter. */
async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const ms = Math.random() * BASE_BACKOFF_MS * 2 ** (attempt - 1);
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
