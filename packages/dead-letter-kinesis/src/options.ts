import { ConfigError } from "@kc/core";
import { checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";

/** The part of the SDK's `KinesisClient` that the queue uses. A client from any copy of the SDK fits. */
export interface KinesisClientLike {
  // The SDK's `send` is overloaded for each command; its callers name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}

export interface KinesisDeadLetterQueueOptions {
  /** The stream's name, or its ARN (a stream of another account). It must not be the stream that is consumed. */
  readonly stream: string;
  /**
   * A `KinesisClient` of the SDK. You own it: the queue never destroys it.
   * @default a client with the Region and the credentials of the environment
   */
  readonly client?: KinesisClientLike;
  /**
   * The stream's limit for a record, in bytes, including its partition key, 16,384 to 10,485,760. A longer letter is sent
   * as a pointer to its record. @default 1048576
   */
  readonly maxRecordBytes?: number;
  /**
   * The timeout of a request to Kinesis, including the SDK's own retries, in milliseconds, 100 to 600,000.
   * @default 10000
   */
  readonly timeoutMs?: number;
}

export interface CheckedOptions {
  readonly stream: { readonly StreamName: string } | { readonly StreamARN: string };
  readonly streamName: string;
  readonly client: KinesisClientLike | undefined;
  readonly maxRecordBytes: number;
  readonly timeoutMs: number;
}

const OPTION_NAMES = ["stream", "client", "maxRecordBytes", "timeoutMs"];
const NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const ARN = /^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream\/([A-Za-z0-9_.-]{1,128})$/;
const MIB = 1_048_576;
/** A pointer with its partition key fits into the minimum. */
const RECORD_BYTES = { min: 16_384, max: 10 * MIB };
const TIMEOUT = { min: 100, max: 600_000 };

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: KinesisDeadLetterQueueOptions): CheckedOptions {
  checkOptionNames("KinesisDeadLetterQueue", options, OPTION_NAMES);
  const { stream, client, maxRecordBytes = MIB, timeoutMs = 10_000 } = options;
  const name = typeof stream === "string" ? (ARN.exec(stream)?.[1] ?? stream) : "";
  if (!NAME.test(name)) {
    throw new ConfigError("stream", `must be a stream's name or its ARN, not ${stream}`);
  }
  if (client !== undefined) checkMethods("client", client, ["send"], "a KinesisClient");
  checkWholeNumber("maxRecordBytes", maxRecordBytes, RECORD_BYTES, "bytes");
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  return {
    stream: stream === name ? { StreamName: stream } : { StreamARN: stream },
    streamName: name,
    client,
    maxRecordBytes,
    timeoutMs,
  };
}
