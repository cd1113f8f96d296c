import { classifySdkError, type SdkFailure } from "../sdk-failure.ts";

/**
 * What an error of a Kinesis call means, pure: what every AWS service has in common, and
 * - `expired-iterator`: needs a new iterator;
 * - `expired-token`: a listing must start over;
 * - `not-found`: the stream or the shard does not exist;
 * - `invalid-argument`: an argument the service refuses: another try would fail alike;
 * - `not-http2`: the client speaks HTTP/2, and what answered does not. It passes if the client was
 *   answered before; otherwise the endpoint has no HTTP/2.
 */
export type KinesisFailure =
  | SdkFailure
  | "expired-iterator"
  | "expired-token"
  | "not-found"
  | "invalid-argument"
  | "not-http2";

/** The errors that are Kinesis' own, or mean something of their own here. */
const BY_NAME: ReadonlyMap<unknown, KinesisFailure> = new Map<unknown, KinesisFailure>(
  Object.entries({
    KMSThrottlingException: "throttled",
    KMSAccessDeniedException: "denied",
    KMSDisabledException: "denied",
    KMSInvalidStateException: "denied",
    KMSNotFoundException: "denied",
    KMSOptInRequired: "denied",
    DryRunOperationException: "lasting",
    ExpiredIteratorException: "expired-iterator",
    ExpiredNextTokenException: "expired-token",
    ResourceNotFoundException: "not-found",
    InvalidArgumentException: "invalid-argument",
    ValidationException: "invalid-argument",
  }),
);

/** @param error what a client's `send` rejected with */
export function classify(error: unknown): KinesisFailure {
  const { name } = (error ?? {}) as { readonly name?: unknown };
  if (isNotHttp2(error)) return "not-http2";
  return BY_NAME.get(name) ?? classifySdkError(error);
}

/** NGHTTP2_ERR_PROTO: the first bytes of the reply are no frame of HTTP/2. */
const NO_FRAME = -505;
/** TLS has no common protocol, or the server asks for the older one. */
const ASKS_FOR_HTTP1 = /no application protocol|HTTP_1_1_REQUIRED|closed with error code 13\b/;

interface Http2Error {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
}

/** Is it what Node's HTTP/2 client throws where a server speaks HTTP/1.1 only? */
function isNotHttp2(error: unknown): boolean {
  const { code, errno, message, cause } = (error ?? {}) as Http2Error;
  if (typeof code !== "string" || !code.startsWith("ERR_HTTP2_")) return false;
  const texts = [message, ((cause ?? {}) as Http2Error).message];
  return (
    errno === NO_FRAME ||
    texts.some((text) => typeof text === "string" && ASKS_FOR_HTTP1.test(text))
  );
}

/** Why GetShardIterator refused a checkpoint's sequence number. */
export type RefusedPosition = "trimmed" | "another-shard" | "another-stream" | "unknown";

/**
 * The service answers InvalidArgumentException for a trimmed number, for another shard's and for
 * one of a stream that was deleted and recreated. Only the first may be answered by reading on at
 * the horizon, so only what is known to be the first is taken for it.
 */
export function classifyRefusal(message: string): RefusedPosition {
  if (/it encodes shardid-/i.test(message)) return "another-shard";
  if (/did not come from this stream/i.test(message)) return "another-stream";
  if (/trimmed|trim horizon|older than|no longer (?:available|exists?)/i.test(message)) {
    return "trimmed";
  }
  return "unknown";
}
