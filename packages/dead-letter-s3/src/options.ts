import type { PutObjectCommandInput } from "@aws-sdk/client-s3";
import { ConfigError } from "@kc/core";
import { checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";

/** The part of the SDK's `S3Client` that the queue uses. A client from any copy of the SDK fits. */
export interface S3ClientLike {
  // The SDK's `send` is overloaded for each command; its callers name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}

/** Parameters of PutObject that can be set for every letter. */
export type PutSettings = Pick<
  PutObjectCommandInput,
  | "BucketKeyEnabled"
  | "ExpectedBucketOwner"
  | "ServerSideEncryption"
  | "SSEKMSKeyId"
  | "StorageClass"
>;

export interface S3DeadLetterQueueOptions {
  /** The bucket's name, or the ARN of an access point. */
  readonly bucket: string;
  /**
   * The prefix of every key, at most 300 bytes. With a trailing `/` it is a folder.
   * @default "dead-letters/"
   */
  readonly prefix?: string;
  /**
   * An `S3Client` of the SDK. You own it: the queue never destroys it.
   * @default a client with the Region and the credentials of the environment
   */
  readonly client?: S3ClientLike;
  /**
   * Parameters of each PutObject, by the SDK's names: a KMS key, a storage class.
   * @default none: the bucket's own encryption
   */
  readonly put?: PutSettings;
  /**
   * The timeout of a request to S3, including the SDK's own retries, in milliseconds, 100 to 600,000. A letter may have
   * 14 MB. @default 30000
   */
  readonly timeoutMs?: number;
}

export interface CheckedOptions {
  readonly bucket: string;
  readonly prefix: string;
  readonly client: S3ClientLike | undefined;
  readonly put: PutSettings;
  readonly timeoutMs: number;
}

const OPTION_NAMES = ["bucket", "prefix", "client", "put", "timeoutMs"];
const PUT_NAMES: readonly (keyof PutSettings)[] = [
  "BucketKeyEnabled",
  "ExpectedBucketOwner",
  "ServerSideEncryption",
  "SSEKMSKeyId",
  "StorageClass",
];
const TIMEOUT = { min: 100, max: 600_000 };
/** With this limit, a key has at most 1,024 bytes. */
const MAX_PREFIX_BYTES = 300;

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: S3DeadLetterQueueOptions): CheckedOptions {
  checkOptionNames("S3DeadLetterQueue", options, OPTION_NAMES);
  const { bucket, prefix = "dead-letters/", client, put = {}, timeoutMs = 30_000 } = options;
  if (typeof bucket !== "string" || !/^(?:[a-z0-9][a-z0-9.-]{2,62}|arn:\S+)$/.test(bucket)) {
    throw new ConfigError("bucket", `must be a bucket's name or an ARN, not ${bucket}`);
  }
  if (typeof prefix !== "string" || !/^(?!\/)[^\p{Cc}\p{Surrogate}]*$/u.test(prefix)) {
    throw new ConfigError(
      "prefix",
      "must be a text of printable characters, without a / before it",
    );
  }
  if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) {
    throw new ConfigError("prefix", `must have at most ${MAX_PREFIX_BYTES} bytes`);
  }
  if (client !== undefined) checkMethods("client", client, ["send"], "an S3Client");
  checkOptionNames("put", put, PUT_NAMES, "put");
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  return { bucket, prefix, client, put, timeoutMs };
}
