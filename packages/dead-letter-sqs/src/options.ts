import { ConfigError } from "@kc/core";
import { checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";

/** The part of the SDK's `SQSClient` that the queue uses. A client from any copy of the SDK fits. */
export interface SqsClientLike {
  // The SDK's `send` is overloaded for each command; its callers name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}

export interface SqsDeadLetterQueueOptions {
  /** The queue's URL. One that ends in `.fifo` is a FIFO queue. */
  readonly queueUrl: string;
  /**
   * An `SQSClient` of the SDK. You own it: the queue never destroys it.
   * @default a client with the Region and the credentials of the environment
   */
  readonly client?: SqsClientLike;
  /**
   * The limit for a message, including its attributes, and for all messages of a request together, in bytes, 16,384 to
   * 1,048,576. A longer letter is sent as a pointer to its record, and so is one that the queue refuses because its
   * `MaximumMessageSize` is lower.
   * @default 1048576
   */
  readonly maxMessageBytes?: number;
  /**
   * The timeout of a request to SQS, including the SDK's own retries, in milliseconds, 100 to 600,000.
   * @default 5000
   */
  readonly timeoutMs?: number;
}

export interface CheckedOptions {
  readonly queueUrl: string;
  readonly isFifo: boolean;
  readonly client: SqsClientLike | undefined;
  readonly maxMessageBytes: number;
  readonly timeoutMs: number;
}

const OPTION_NAMES = ["queueUrl", "client", "maxMessageBytes", "timeoutMs"];
/** The service's limit for a message and for a request. */
const MIB = 1_048_576;
/** A pointer with its attributes fits into the minimum. */
const MESSAGE_BYTES = { min: 16_384, max: MIB };
const TIMEOUT = { min: 100, max: 600_000 };

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: SqsDeadLetterQueueOptions): CheckedOptions {
  checkOptionNames("SqsDeadLetterQueue", options, OPTION_NAMES);
  const { queueUrl, client, maxMessageBytes = MIB, timeoutMs = 5000 } = options;
  if (typeof queueUrl !== "string" || !/^https?:\/\/[^/\s]+\/\S+$/.test(queueUrl)) {
    throw new ConfigError(
      "queueUrl",
      `must be a queue's URL, as https://sqs.{region}.amazonaws.com/{account}/{queue}, not ${queueUrl}`,
    );
  }
  if (client !== undefined) checkMethods("client", client, ["send"], "an SQSClient");
  checkWholeNumber("maxMessageBytes", maxMessageBytes, MESSAGE_BYTES, "bytes");
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  return { queueUrl, isFifo: queueUrl.endsWith(".fifo"), client, maxMessageBytes, timeoutMs };
}
