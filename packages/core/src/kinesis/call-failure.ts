import { ConfigError, describeError, KcError, type KcErrorCode } from "../errors.ts";
import type { SdkTarget } from "../sdk-target.ts";
import { adviceOn, httpStatusOf } from "./call-advice.ts";
import { classify } from "./classify.ts";

const REGION_MISSING = /region is missing/i;

/** Where calls go, as far as it is known. For messages. */
export interface CallTarget extends SdkTarget {
  /** The stream's name or ARN. */
  readonly stream: string;
}

export interface FailedCall {
  readonly operation: string;
  readonly shardId?: string | undefined;
  readonly target: CallTarget;
  /** How long the call was retried, in milliseconds. */
  readonly triedForMs: number;
}

/**
 * Creates the error of a call that is not retried. Its message names operation, stream, Region, endpoint,
 * HTTP status and the SDK's message, and says what to do.
 */
export function callFailure(call: FailedCall, cause: unknown): KcError {
  const { operation, shardId, triedForMs, target } = call;
  if (REGION_MISSING.test(describeError(cause))) {
    return new ConfigError(
      "client",
      "it has no Region: set AWS_REGION, or pass a client that has one",
    );
  }
  const failure = classify(cause);
  const duration = triedForMs >= 1000 ? ` for ${Math.round(triedForMs / 1000)} s` : "";
  const at = shardId === undefined ? "" : `${shardId}: `;
  const [code, what]: [KcErrorCode, string] =
    failure === "denied"
      ? ["KINESIS_ACCESS_DENIED", `${at}${operation} has been refused${duration}`]
      : failure !== "not-found"
        ? ["KINESIS_FAILED", `${at}${operation} failed${duration}`]
        : shardId === undefined
          ? ["STREAM_NOT_FOUND", `stream ${target.stream} does not exist ${placeOf(target)}`]
          : [
              "SHARD_NOT_FOUND",
              `${at}${operation} does not find it${duration}, but ListShards does`,
            ];
  const details = [...whereOf(call), statusOf(cause), describeError(cause)].filter(Boolean);
  const advice = adviceOn(cause, operation);
  return new KcError(code, `${what} (${details.join("; ")})${advice && `. ${advice}`}`, {
    cause,
    ...(shardId === undefined ? {} : { shardId }),
  });
}

function statusOf(error: unknown): string {
  const status = httpStatusOf(error);
  return status === undefined ? "" : `HTTP ${status}`;
}

function whereOf({ operation, target }: FailedCall): readonly string[] {
  const { stream, region, endpoint } = target;
  return [
    `${operation} on stream ${stream}`,
    region === undefined ? "" : `Region ${region}`,
    endpoint === undefined ? "" : `endpoint ${endpoint}`,
  ];
}

/** An ARN names account and Region. A name belongs to the credentials' account and the client's Region. */
function placeOf({ stream, region }: CallTarget): string {
  const [, , , arnRegion, account] = stream.split(":");
  if (account !== undefined) return `in account ${account} and Region ${arnRegion}`;
  return region === undefined
    ? "in this account and Region"
    : `in the credentials' account and Region ${region}`;
}
