import { ConfigError, describeError, KcError, type KcErrorCode } from "../errors.ts";
import { classify } from "./classify.ts";

const REGION_MISSING = /region is missing/i;

/** Where calls go, as far as it is known. */
export interface CallTarget {
  /** The stream's name or ARN. */
  readonly stream: string;
  readonly region?: string | undefined;
  /** Only where the client was given one. */
  readonly endpoint?: string | undefined;
}

export interface FailedCall {
  readonly operation: string;
  readonly shardId?: string | undefined;
  readonly target: CallTarget;
  /** For how long it was tried again, in milliseconds. */
  readonly triedForMs: number;
}

/**
 * What a call that is not tried again is told as: operation, stream, Region, endpoint, HTTP status,
 * the SDK's own words, and what to do.
 */
export function callFailure(call: FailedCall, cause: unknown): KcError {
  const { operation, shardId, triedForMs, target } = call;
  if (REGION_MISSING.test(describeError(cause))) {
    return new ConfigError("client", "it has no Region: set AWS_REGION, or hand one in that has");
  }
  const failure = classify(cause);
  const forLong = triedForMs >= 1000 ? ` for ${Math.round(triedForMs / 1000)} s` : "";
  const at = shardId === undefined ? "" : `${shardId}: `;
  const [code, what]: [KcErrorCode, string] =
    failure === "denied"
      ? ["KINESIS_ACCESS_DENIED", `${at}${operation} has been refused${forLong}`]
      : failure !== "not-found"
        ? ["KINESIS_FAILED", `${at}${operation} failed${forLong}`]
        : shardId === undefined
          ? ["STREAM_NOT_FOUND", `stream ${target.stream} does not exist ${placeOf(target)}`]
          : [
              "SHARD_NOT_FOUND",
              `${at}${operation} does not find it${forLong}, but ListShards does`,
            ];
  const details = [...whereOf(call), statusOf(cause), describeError(cause)].filter(Boolean);
  const advice = adviceOn(cause, operation);
  return new KcError(code, `${what} (${details.join("; ")})${advice && `. ${advice}`}`, {
    cause,
    ...(shardId === undefined ? {} : { shardId }),
  });
}

/** What somebody who reads the error can do about it; empty where the error says it itself. */
export function adviceOn(error: unknown, operation: string): string {
  const text = describeError(error);
  const { name } = (error ?? {}) as { readonly name?: unknown };
  const status = httpStatusOf(error) ?? 0;
  if (/signature|UnrecognizedClient|InvalidClientTokenId|AuthFailure/i.test(String(name))) {
    return "The access key or its secret is wrong, or of another partition: check the credentials";
  }
  switch (classify(error)) {
    case "denied":
      return (
        `Grant kinesis:${operation} on the stream (and kms:Decrypt on its key, if it is encrypted) ` +
        `to the credentials in use`
      );
    case "not-found":
      return "Check the name, the Region and the account; a stream of another account needs its ARN";
    default:
  }
  if (/credentials/i.test(String(name))) {
    return "Check where the credentials come from: environment, profile, or role";
  }
  if (/self-signed|self signed|CERT|unable to verify|UNABLE_TO_VERIFY/.test(text)) {
    return "If the certificate is right, name its issuer by NODE_EXTRA_CA_CERTS";
  }
  if (/WRONG_VERSION_NUMBER|wrong version number|packet length too long/i.test(text)) {
    return "The endpoint does not speak TLS: is it meant to be http://?";
  }
  if (/ERR_HTTP2|HTTP\/2|^Error: Protocol error/i.test(text)) {
    return "If the endpoint speaks no HTTP/2, hand in a client with the NodeHttpHandler";
  }
  if (status >= 300 && status < 400) {
    return "The endpoint redirects: check the Region and the endpoint";
  }
  if (name === "SyntaxError") {
    return "The endpoint did not answer as Kinesis does: a proxy or another server is in between";
  }
  return "";
}

/** HTTP status of an error that the service, or somebody in its place, answered with. */
export function httpStatusOf(error: unknown): number | undefined {
  const { $metadata } = (error ?? {}) as { readonly $metadata?: { httpStatusCode?: unknown } };
  const status = $metadata?.httpStatusCode;
  return typeof status === "number" ? status : undefined;
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

/** An ARN names account and Region; a name is looked for in those of the credentials and client. */
function placeOf({ stream, region }: CallTarget): string {
  const [, , , itsRegion, account] = stream.split(":");
  if (account !== undefined) return `in account ${account} and Region ${itsRegion}`;
  return region === undefined
    ? "in this account and Region"
    : `in the credentials' account and Region ${region}`;
}
