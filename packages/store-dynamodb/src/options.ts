import { ConfigError } from "@kc/core";
import { checkMethods, checkOptionNames, checkWholeNumber } from "@kc/core/adapter";

/** The part of the SDK's `DynamoDBClient` that the store uses. A client from any copy of the SDK fits. */
export interface DynamoDBClientLike {
  // The SDK's `send` is overloaded for each command; its callers name the output.
  // oxlint-disable-next-line typescript/no-explicit-any
  send(command: any, options?: { abortSignal?: AbortSignal }): Promise<any>;
}

export interface DynamoDBStoreOptions {
  /** The table's name, or its ARN (a table of another account). */
  readonly table: string;
  /**
   * A `DynamoDBClient` of the SDK. You own it: the store never destroys it.
   * @default a client with the Region and the credentials of the environment
   */
  readonly client?: DynamoDBClientLike;
  /**
   * The partition key of all items, 1 to 2048 bytes, instead of the one that the Go library uses. A namespace belongs to
   * one application on one stream: a second one is refused.
   * @default `{application}-{streamName}`
   */
  readonly namespace?: string;
  /**
   * The timeout of a request to DynamoDB, including the SDK's own retries, in milliseconds, 100 to 600,000. After it the
   * request fails with a retryable STORE_UNAVAILABLE. @default 5000
   */
  readonly timeoutMs?: number;
}

export interface CheckedOptions {
  readonly table: string;
  readonly client: DynamoDBClientLike | undefined;
  readonly namespace: string | undefined;
  readonly timeoutMs: number;
}

const OPTION_NAMES = ["table", "client", "namespace", "timeoutMs"];
const TABLE_NAME = /^[A-Za-z0-9_.-]{3,255}$/;
const TABLE_ARN = /^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table\/[A-Za-z0-9_.-]{3,255}$/;
const TIMEOUT = { min: 100, max: 600_000 };
const MIN_NUMBER = 1e-130;
const MAX_NUMBER = 9.9e125;
/** DynamoDB's limit for a partition key. */
const MAX_NAMESPACE_BYTES = 2048;

/** @throws ConfigError for each option that is missing, of the wrong kind, or out of bounds. */
export function checkOptions(options: DynamoDBStoreOptions): CheckedOptions {
  checkOptionNames("DynamoDBStore", options, OPTION_NAMES);
  const { table, client, namespace, timeoutMs = 5000 } = options;
  if (typeof table !== "string" || !(TABLE_NAME.test(table) || TABLE_ARN.test(table))) {
    throw new ConfigError(
      "table",
      `must be a table's name (3 to 255 of A-Z a-z 0-9 _ . -) or its ARN, not ${table}`,
    );
  }
  if (client !== undefined) checkMethods("client", client, ["send"], "a DynamoDBClient");
  if (namespace !== undefined) checkNamespace(namespace);
  checkWholeNumber("timeoutMs", timeoutMs, TIMEOUT, "milliseconds");
  return { table, client, namespace, timeoutMs };
}

/** @throws ConfigError for a weight that DynamoDB cannot store as a number */
export function checkWeight(weight: number): void {
  if (weight >= MIN_NUMBER && weight <= MAX_NUMBER) return;
  throw new ConfigError(
    "weight",
    `DynamoDB stores numbers from ${MIN_NUMBER} to ${MAX_NUMBER}, not ${weight}: weights are ` +
      "shares, so divide those of all workers by the same number",
  );
}

function checkNamespace(namespace: unknown): void {
  const isText = typeof namespace === "string" && !/\p{Surrogate}/u.test(namespace);
  const bytes = isText ? Buffer.byteLength(namespace) : 0;
  if (bytes === 0 || bytes > MAX_NAMESPACE_BYTES) {
    throw new ConfigError("namespace", `must be a string of 1 to ${MAX_NAMESPACE_BYTES} bytes`);
  }
}
