import { describeError, KcError, StoreError } from "@kc/core";
import {
  classifySdkError,
  permanentFailure,
  retryableFailure,
  withoutResponse,
  type SdkFailure,
  type SdkTarget,
  type StoreFailure,
} from "@kc/core/adapter";
import type { Item } from "./rows.ts";
import { tableDefinition } from "./table-definition.ts";

const THROTTLED = retryableFailure(
  "DynamoDB throttles: the table's, the partition's or the account's limit",
);
const CONFLICT = retryableFailure("another transaction or write of the same item was in progress");
const PASSING = retryableFailure(
  "DynamoDB cannot be reached or has an error, or credentials are being renewed",
);
const DENIED = permanentFailure(
  "STORE_ACCESS_DENIED",
  "the credentials are wrong or lack a right: the README has the policy",
);
const MISSING = permanentFailure("STORE_SCHEMA", "the table is missing");
const SCHEMA = permanentFailure("STORE_SCHEMA", "the table has other keys");
const REFUSED = permanentFailure("STORE_FAILED", "the request was refused");
const UNKNOWN = permanentFailure("STORE_FAILED", "the call failed in a way that is not known here");

/** DynamoDB's own errors, by their `name`. */
export const ERROR_NAMES: Readonly<Record<string, StoreFailure>> = {
  TransactionConflictException: CONFLICT,
  TransactionConflict: CONFLICT,
  TransactionInProgressException: CONFLICT,
  ReplicatedWriteConflictException: CONFLICT,

  ResourceNotFoundException: MISSING,
  TableNotFoundException: MISSING,

  ValidationException: REFUSED,
  ValidationError: REFUSED,
  ItemCollectionSizeLimitExceededException: REFUSED,
};

/** The meanings of the errors that all AWS services share. */
const MEANINGS: Readonly<Record<SdkFailure, StoreFailure>> = {
  throttled: THROTTLED,
  transient: PASSING,
  denied: DENIED,
  permanent: REFUSED,
  unknown: UNKNOWN,
};

/** ValidationException has no codes for these: only the service's texts distinguish them. */
const KEY_TEXT =
  /key element|missing the key|missed key schema|type mismatch for key|conditions on the keys|required keys/i;

interface AwsError {
  readonly name: string;
  readonly message: string;
  readonly Item?: Item;
  readonly CancellationReasons?: readonly {
    readonly Code?: string;
    readonly Message?: string;
    readonly Item?: Item;
  }[];
}

/** The result of one action of a refused write: whether its condition failed, and the stored item, if any. */
export interface Refusal {
  readonly failed: boolean;
  readonly item: Item | undefined;
}

/**
 * The refusals of a conditional write, one for each of its actions. `undefined` if the error is not a failed condition.
 */
export function refusalsOf(error: unknown): readonly Refusal[] | undefined {
  if (!(error instanceof Error)) return undefined;
  const { name, Item, CancellationReasons: reasons } = error as AwsError;
  if (name === "ConditionalCheckFailedException") return [{ failed: true, item: Item }];
  if (name !== "TransactionCanceledException" || reasons === undefined) return undefined;
  const refusals = reasons.map((reason) => ({
    failed: reason.Code === "ConditionalCheckFailed",
    item: reason.Item,
  }));
  return refusals.some(({ failed }) => failed) ? refusals : undefined;
}

/** Whether the request should be retried within the same call. Network failures are left to the caller. */
export function isContention(error: unknown): boolean {
  const meaning = meaningOf(error);
  return meaning === THROTTLED || meaning === CONFLICT;
}

/** Whether the table has other keys than ours, which never changes. */
export function hasOtherKeys(error: unknown): boolean {
  return meaningOf(error) === SCHEMA;
}

/** Whether there is no such table in the Region and at the endpoint of the request. */
export function isMissing(error: unknown): boolean {
  return meaningOf(error) === MISSING;
}

/** Whether the table, the partition or the account has no capacity left. */
export function isThrottle(error: unknown): boolean {
  return meaningOf(error) === THROTTLED;
}

/**
 * Converts the SDK's error to a StoreError. A KcError is returned as it is.
 * @param target where the request was sent, for the message
 */
export function toStoreError(error: unknown, table: string, target: SdkTarget = {}): KcError {
  if (KcError.is(error)) return error;
  const meaning = meaningOf(error);
  const { code, retryable, advice } = meaning;
  const remedy = code === "STORE_SCHEMA" ? `\n${tableDefinition(table)}` : "";
  const { region, endpoint } = target;
  const where = [
    table,
    region === undefined ? "" : ` in ${region}`,
    endpoint === undefined ? "" : ` at ${endpoint}`,
  ].join("");
  return new StoreError(
    code,
    `DynamoDB table ${where}: ${advice} (${describeError(error)})${remedy}`,
    { retryable, cause: withoutResponse(error) },
  );
}

function meaningOf(error: unknown): StoreFailure {
  const { CancellationReasons: reasons } = (error ?? {}) as Partial<AwsError>;
  return reasons === undefined ? meaningOfError(error) : meaningOfReasons(reasons);
}

function meaningOfError(error: unknown): StoreFailure {
  const { name, message } = (error ?? {}) as Partial<AwsError>;
  const own =
    name !== undefined && Object.hasOwn(ERROR_NAMES, name) ? ERROR_NAMES[name] : undefined;
  if (own === undefined) return MEANINGS[classifySdkError(error)];
  return own === REFUSED && KEY_TEXT.test(message ?? "") ? SCHEMA : own;
}

/** A cancelled transaction has a reason for each action. One that is not retryable takes precedence. */
function meaningOfReasons(reasons: NonNullable<AwsError["CancellationReasons"]>): StoreFailure {
  const meanings = reasons
    .filter(({ Code: code = "None" }) => code !== "None")
    .map(({ Code: name = "", Message: message = "" }) => meaningOfError({ name, message }));
  return meanings.find(({ retryable }) => !retryable) ?? meanings[0] ?? UNKNOWN;
}
