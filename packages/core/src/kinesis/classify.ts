import { classifySdkError, type SdkFailure } from "../sdk-failure.ts";

/**
 * The meaning of an error of a Kinesis call. `SdkFailure` has the meanings that all AWS services share.
 * - `expired-iterator`: the call needs a new iterator
 * - `expired-token`: the listing must start over
 * - `not-found`: the stream or the shard does not exist
 * - `invalid-argument`: the service rejects an argument; a retry would fail too
 * - `not-http2`: the client speaks HTTP/2, and the other end does not. It is transient if the client got
 *   replies before; otherwise the endpoint has no HTTP/2
 */
export type KinesisFailure =
  | SdkFailure
  | "expired-iterator"
  | "expired-token"
  | "not-found"
  | "invalid-argument"
  | "not-http2";

/** Errors of Kinesis itself, and errors that have a special meaning for Kinesis. */
const BY_NAME: ReadonlyMap<unknown, KinesisFailure> = new Map<unknown, KinesisFailure>(
  Object.entries({
    KMSThrottlingException: "throttled",
    KMSAccessDeniedException: "denied",
    KMSDisabledException: "denied",
    KMSInvalidStateException: "denied",
    KMSNotFoundException: "denied",
    KMSOptInRequired: "denied",
    DryRunOperationException: "permanent",
    ExpiredIteratorException: "expired-iterator",
    ExpiredNextTokenException: "expired-token",
    ResourceNotFoundException: "not-found",
    InvalidArgumentException: "invalid-argument",
    ValidationException: "invalid-argument",
  }),
);

/** Pure. @param error what a client's `send` rejected with */
export function classify(error: unknown): KinesisFailure {
  const { name } = (error ?? {}) as { readonly name?: unknown };
  if (isNotHttp2(error)) return "not-http2";
  return BY_NAME.get(name) ?? classifySdkError(error);
}

/** The first bytes of the reply are not an HTTP/2 frame. */
const NGHTTP2_ERR_PROTO = -505;
/** TLS found no common protocol, or the server requires HTTP/1.1. */
const REQUIRES_HTTP1 = /no application protocol|HTTP_1_1_REQUIRED|closed with error code 13\b/;

interface Http2Error {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
}

/** Whether Node's HTTP/2 client threw the error because the server speaks only HTTP/1.1. */
function isNotHttp2(error: unknown): boolean {
  const { code, errno, message, cause } = (error ?? {}) as Http2Error;
  if (typeof code !== "string" || !code.startsWith("ERR_HTTP2_")) return false;
  const texts = [message, ((cause ?? {}) as Http2Error).message];
  return (
    errno === NGHTTP2_ERR_PROTO ||
    texts.some((text) => typeof text === "string" && REQUIRES_HTTP1.test(text))
  );
}

/** Why GetShardIterator rejected a checkpoint's sequence number. */
export type RefusedPosition = "trimmed" | "another-shard" | "another-stream" | "unknown";

/**
 * Classifies the message of an InvalidArgumentException. The service throws it for a trimmed sequence number,
 * for another shard's, and for one of a stream that was deleted and recreated. Only after the first may
 * reading continue at the trim horizon, so the result is `trimmed` only if the message says so. Pure.
 */
export function classifyRefusal(message: string): RefusedPosition {
  if (/it encodes shardid-/i.test(message)) return "another-shard";
  if (/did not come from this stream/i.test(message)) return "another-stream";
  if (/trimmed|trim horizon|older than|no longer (?:available|exists?)/i.test(message)) {
    return "trimmed";
  }
  return "unknown";
}
