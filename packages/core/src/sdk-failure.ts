import { KcError } from "./errors.ts";

/**
 * The kinds of errors of an AWS SDK client, for any service:
 * - `throttled`: a quota was exceeded; retry;
 * - `transient`: network, timeout, 5xx, expired credentials, a wrong clock: temporary; retry;
 * - `denied`: no permission, or wrong credentials; may be temporary while a role propagates;
 * - `permanent`: the request or the configuration is wrong; a retry would fail too;
 * - `unknown`: the error does not tell; retry for a limited time.
 */
export type SdkFailure = "throttled" | "transient" | "denied" | "permanent" | "unknown";

/** Error names, from the SDK's lists, the services' common errors, and STS, whose errors reach every client. */
const NAMES: Readonly<Record<Exclude<SdkFailure, "unknown">, readonly string[]>> = {
  throttled: [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TooManyRequestsException",
  ],
  transient: [
    "AbortError",
    "InternalError",
    "InternalFailure",
    "InternalFailureException",
    "InternalServerError",
    "InternalServerException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceInUseException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "TimeoutError",
    // Credentials: providers fail while a role, a token or a metadata service is not available yet.
    "CredentialsProviderError",
    "ExpiredToken",
    "ExpiredTokenException",
    "IDPCommunicationError",
    "IDPCommunicationErrorException",
    "InvalidIdentityToken",
    "InvalidIdentityTokenException",
    "ProviderError",
    "TokenProviderError",
    // A wrong clock: NTP, or the SDK's own correction, fixes it.
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
  ],
  denied: [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "IDPRejectedClaim",
    "IDPRejectedClaimException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    // A wrong secret. If the clock is wrong, the message says so: see CLOCK_MESSAGE.
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "NotAuthorizedException",
    "OptInRequired",
    "RegionDisabledException",
    "SignatureDoesNotMatch",
    "UnauthorizedException",
    "UnrecognizedClientException",
  ],
  permanent: [
    "InvalidAction",
    "MalformedQueryString",
    "SerializationException",
    "UnknownOperationException",
    "ValidationError",
    "ValidationException",
  ],
};

const BY_NAME: ReadonlyMap<string, SdkFailure> = new Map(
  Object.entries(NAMES).flatMap(([failure, names]) =>
    names.map((name) => [name, failure as SdkFailure] as const),
  ),
);

const NETWORK_CODES: ReadonlySet<string> = new Set([
  "EADDRNOTAVAIL",
  "ECANCELLED",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "EMFILE",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENFILE",
  "ENOBUFS",
  "ENOTCONN",
  "ENOTFOUND",
  "EPIPE",
  "EPROTO",
  "ESERVFAIL",
  "ETIMEDOUT",
  "ETIMEOUT",
]);
/** Prefixes of codes: name resolution, TLS, HTTP/2, Node's HTTP parser and sockets, undici. */
const NETWORK_FAMILY = /^(?:EAI|ERR_SSL|ERR_TLS|ERR_HTTP2|HPE|ERR_SOCKET|ERR_STREAM|UND_ERR)_/;
/** System calls of the network: any code of theirs is temporary. A firewall causes EPERM, for example. */
const NETWORK_CALL = /^(?:connect|getaddrinfo|query|socket$)/;
/** Certificate errors. They are permanent, unless a proxy caused them. */
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|HOSTNAME_MISMATCH|_UNKNOWN_CA$/;

/** Messages of Node and the SDK for a broken connection without a code. */
const NETWORK_MESSAGE =
  /socket hang up|premature close|http2 request did not get a response|http\/2 stream is abnormally aborted|^frame type id \d+ in stream/i;
const CLOCK_MESSAGE = /signature (?:expired|not yet current)/i;
/** Messages for a configuration error that prevents any request. */
const CONFIGURATION = /^region is missing|^invalid configuration/i;
const MAX_CAUSES = 8;

/**
 * Classifies an error by name, code, status and causes, not by `instanceof`: the user's SDK may be another copy.
 * Accepts anything that can be thrown.
 * @param error what a client's `send` rejected with
 */
export function classifySdkError(error: unknown): SdkFailure {
  const links = causesOf(error);
  if (links.some(({ code }) => isText(code) && CERTIFICATE.test(code))) return "unknown";
  for (const link of links) {
    const failure = classifyLink(link);
    if (failure !== undefined) return failure;
  }
  return "unknown";
}

interface SdkError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  /** The errors of an AggregateError: one for each address that was tried. */
  readonly errors?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: unknown };
  readonly $retryable?: { readonly throttling?: unknown };
}

/** Undefined = this error does not tell; its cause may. */
function classifyLink(error: SdkError): SdkFailure | undefined {
  if (KcError.is(error)) return error.retryable ? "transient" : "permanent";
  const { name, code, syscall, $metadata, $retryable } = error;
  const message = isText(error.message) ? error.message : "";
  if (CLOCK_MESSAGE.test(message)) return "transient";
  const byName = isText(name) ? BY_NAME.get(name) : undefined;
  if (byName !== undefined) return byName;
  if (isNetworkCode(code) || (isText(syscall) && NETWORK_CALL.test(syscall))) return "transient";
  if ($retryable) return $retryable.throttling ? "throttled" : "transient";
  const status = $metadata?.httpStatusCode;
  if (typeof status === "number") return classifyStatus(status, name);
  if (NETWORK_MESSAGE.test(message)) return "transient";
  return CONFIGURATION.test(message) ? "permanent" : undefined;
}

function classifyStatus(status: number, name: unknown): SdkFailure {
  if (status === 429) return "throttled";
  if (status === 401 || status === 403) return "denied";
  if (status === 408 || status >= 500) return "transient";
  // A truncated reply, or an HTML page of a proxy: it is not JSON.
  return name === "SyntaxError" ? "transient" : "unknown";
}

function isNetworkCode(code: unknown): boolean {
  return isText(code) && (NETWORK_CODES.has(code) || NETWORK_FAMILY.test(code));
}

/** The error and its causes, breadth first, up to `MAX_CAUSES`. */
function causesOf(error: unknown): readonly SdkError[] {
  const found: SdkError[] = [];
  const queue: unknown[] = [error];
  while (queue.length > 0 && found.length < MAX_CAUSES) {
    const link = queue.shift();
    if (typeof link !== "object" || link === null || found.includes(link)) continue;
    found.push(link);
    const { cause, errors } = link as SdkError;
    queue.push(cause, ...(Array.isArray(errors) ? errors.slice(0, MAX_CAUSES) : []));
  }
  return found;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/**
 * Returns a copy of an SDK error without its `$response`, which holds the connection and the request headers, with
 * a session token among them. Any other error is returned as it is.
 */
export function withoutResponse(error: unknown): unknown {
  if (!(error instanceof Error) || !Object.hasOwn(error, "$response")) return error;
  const kept: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(error);
  delete kept["$response"];
  // In some versions of Node, `stack` is an accessor that works on the original error only.
  kept["stack"] = { value: error.stack, configurable: true, writable: true };
  return Object.create(Object.getPrototypeOf(error) as object, kept);
}
