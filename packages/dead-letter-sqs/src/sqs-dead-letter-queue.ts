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

/** The most messages of one request. */
const MAX_MESSAGES = 10;
/** Messages that the service did not take beside others are sent so often, with a random wait between. */
const MAX_ATTEMPTS = 5;
const BASE_BACKOFF_MS = 50;

/**
 * Dead letters in an SQS queue: one message for each letter, its body as `encodeDeadLetter` writes it, with
 * `id`, `streamName`, `application`, `shardId` and `reason` as message attributes.
 *
 * A standard queue may hold a letter more than once. A FIFO queue leaves out a letter that came within
 * the last five minutes; its message group is the shard.
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

  /** Idempotent. Calls under way reject with DEAD_LETTERS_CLOSED. */
  async close(): Promise<void> {
    this.#calls.close();
    this.#own?.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Made when their turn comes: there may be many, of a MiB each. */
  *#messagesOf(letters: readonly DeadLetter[]): Generator<Message> {
    const { isFifo, maxMessageBytes } = this.#options;
    for (const letter of letters) yield messageOf(letter, isFifo, maxMessageBytes);
  }

  #pointer({ letter }: Message): Message {
    const { isFifo, maxMessageBytes } = this.#options;
    return messageOf(pointerTo(letter), isFifo, maxMessageBytes);
  }

  /** One request after the other; answers with what was not taken. */
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
      // What is not acknowledged was not taken, whether the answer names it or not.
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

/** Does this queue take less than `maxMessageBytes` says, and is there data to leave out? */
function shrinks({ message, refusal }: Refused): boolean {
  return isTooLong(refusal) && message.letter.data !== undefined;
}

/** A random wait, whose bound doubles with each try. */
async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const ms = Math.random() * BASE_BACKOFF_MS * 2 ** (attempt - 1);
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
