/**
 * What an error of a Kinesis call means, pure. Errors are told apart by name and status, never by
 * `instanceof`: the user's SDK may be another copy. From the service's API reference and the SDK.
 */
export type KinesisFailure =
  /** The shard's or stream's quota: the same call passes later, with the same iterator. */
  | "throttled"
  /** Network, time-out, 5xx, credentials being renewed: the same call passes later. */
  | "passing"
  /** No permission, or a KMS key that cannot be used: may pass while a role propagates. */
  | "denied"
  /** Needs a new iterator. */
  | "expired-iterator"
  /** A listing must start over. */
  | "expired-token"
  /** The stream or the shard does not exist. */
  | "not-found"
  /** An argument the service refuses: another try would fail alike. */
  | "invalid-argument"
  /** None of these: another try would fail alike. */
  | "lasting";

const BY_NAME: ReadonlyMap<string, KinesisFailure> = new Map(
  Object.entries({
    ProvisionedThroughputExceededException: "throttled",
    KMSThrottlingException: "throttled",
    LimitExceededException: "throttled",
    ThrottlingException: "throttled",
    Throttling: "throttled",
    TooManyRequestsException: "throttled",
    RequestLimitExceeded: "throttled",
    SlowDown: "throttled",

    ResourceInUseException: "passing",
    InternalFailure: "passing",
    InternalFailureException: "passing",
    InternalServerError: "passing",
    ServiceUnavailable: "passing",
    TimeoutError: "passing",
    RequestTimeout: "passing",
    RequestTimeoutException: "passing",
    // Credentials: providers fail while a role or a metadata service is not there yet.
    CredentialsProviderError: "passing",
    ProviderError: "passing",
    TokenProviderError: "passing",
    ExpiredToken: "passing",
    ExpiredTokenException: "passing",
    // A clock that is off: NTP, and the SDK's own correction, mend it.
    RequestTimeTooSkewed: "passing",
    RequestExpired: "passing",
    RequestInTheFuture: "passing",

    AccessDeniedException: "denied",
    AccessDenied: "denied",
    UnrecognizedClientException: "denied",
    InvalidClientTokenId: "denied",
    MissingAuthenticationTokenException: "denied",
    NotAuthorizedException: "denied",
    OptInRequired: "denied",
    // A wrong secret; where it is a clock that is off, the message says so.
    InvalidSignatureException: "denied",
    SignatureDoesNotMatch: "denied",
    KMSAccessDeniedException: "denied",
    KMSDisabledException: "denied",
    KMSInvalidStateException: "denied",
    KMSNotFoundException: "denied",
    KMSOptInRequired: "denied",

    ExpiredIteratorException: "expired-iterator",
    ExpiredNextTokenException: "expired-token",
    ResourceNotFoundException: "not-found",
    InvalidArgumentException: "invalid-argument",
    ValidationException: "invalid-argument",
  }),
);

const NETWORK_CODES: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "EHOSTDOWN",
  "EADDRNOTAVAIL",
  "EMFILE",
  "EPROTO",
  "ERR_STREAM_PREMATURE_CLOSE",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** Node's and the SDK's words for a broken connection, where they give it no code. */
const NETWORK_MESSAGE =
  /socket hang up|premature close|http2 request did not get a response|http\/2 stream is abnormally aborted|^frame type id \d+ in stream/i;
const CLOCK_MESSAGE = /signature (?:expired|not yet current)/i;

/** @param error what a client's `send` rejected with */
export function classify(error: unknown): KinesisFailure {
  if (typeof error !== "object" || error === null) return "lasting";
  const { name, code, $metadata, $retryable, cause, message: said } = error as SdkError;
  const message = typeof said === "string" ? said : "";
  if (CLOCK_MESSAGE.test(message)) return "passing";
  const byName = BY_NAME.get(name ?? "");
  if (byName) return byName;
  if (isNetworkCode(code) || isNetworkCode(cause?.code)) return "passing";
  const status = $metadata?.httpStatusCode;
  if (status === 429) return "throttled";
  if (status === 401 || status === 403) return "denied";
  if (status !== undefined && status >= 500) return "passing";
  // A reply that broke off: what came of it is no JSON.
  if (status !== undefined && name === "SyntaxError") return "passing";
  if ($retryable) return $retryable.throttling ? "throttled" : "passing";
  return NETWORK_MESSAGE.test(message) ? "passing" : "lasting";
}

function isNetworkCode(code: unknown): boolean {
  return typeof code === "string" && (NETWORK_CODES.has(code) || code.startsWith("ERR_HTTP2_"));
}

interface SdkError {
  name?: string;
  code?: unknown;
  message?: unknown;
  cause?: { code?: unknown };
  $metadata?: { httpStatusCode?: number };
  $retryable?: { throttling?: boolean };
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
