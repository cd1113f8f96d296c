import { KcError } from "./errors.ts";

/**
 * What an error of an AWS SDK client means, whatever the service:
 * - `throttled`: a quota; the same call passes later;
 * - `passing`: network, time-out, 5xx, credentials being renewed, a clock that is off: the same call
 *   passes later;
 * - `denied`: no permission, or wrong credentials; may pass while a role propagates;
 * - `lasting`: the request or the configuration is wrong; another try would fail alike;
 * - `unknown`: the service did not say. Try for a limited time.
 */
export type SdkFailure = "throttled" | "passing" | "denied" | "lasting" | "unknown";

/** From the SDK's lists and the services' common errors; the errors of STS reach every client. */
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
  passing: [
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
    // Credentials: providers fail while a role, a token or a metadata service is not there yet.
    "CredentialsProviderError",
    "ExpiredToken",
    "ExpiredTokenException",
    "IDPCommunicationError",
    "IDPCommunicationErrorException",
    "InvalidIdentityToken",
    "InvalidIdentityTokenException",
    "ProviderError",
    "TokenProviderError",
    // A clock that is wrong: NTP, and the SDK's own correction, fix it.
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
    // A wrong secret; where it is a clock that is off, the message says so.
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
  lasting: [
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
/** Families of codes: name resolution, TLS, HTTP/2, Node's HTTP parser and sockets, undici. */
const NETWORK_FAMILY = /^(?:EAI|ERR_SSL|ERR_TLS|ERR_HTTP2|HPE|ERR_SOCKET|ERR_STREAM|UND_ERR)_/;
/** What a system call of the network failed with, whatever it is: a firewall answers EPERM. */
const NETWORK_CALL = /^(?:connect|getaddrinfo|query|socket$)/;
/** An untrusted certificate stays untrusted, unless a proxy caused it. */
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|HOSTNAME_MISMATCH|_UNKNOWN_CA$/;

/** Node's and the SDK's words for a broken connection, where they give it no code. */
const NETWORK_MESSAGE =
  /socket hang up|premature close|http2 request did not get a response|http\/2 stream is abnormally aborted|^frame type id \d+ in stream/i;
const CLOCK_MESSAGE = /signature (?:expired|not yet current)/i;
/** A configuration without which no request is made. */
const CONFIGURATION = /^region is missing|^invalid configuration/i;
const CAUSES_LOOKED_AT = 8;

/**
 * Tells by name, code, status and causes, never by `instanceof`: the user's SDK may be another copy.
 * Total: it has an answer for whatever is thrown.
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
  /** Of an AggregateError: one for each address that was tried. */
  readonly errors?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: unknown };
  readonly $retryable?: { readonly throttling?: unknown };
}

/** Undefined = it says nothing, and its cause may. */
function classifyLink(error: SdkError): SdkFailure | undefined {
  if (KcError.is(error)) return error.retryable ? "passing" : "lasting";
  const { name, code, syscall, $metadata, $retryable } = error;
  const message = isText(error.message) ? error.message : "";
  if (CLOCK_MESSAGE.test(message)) return "passing";
  const byName = isText(name) ? BY_NAME.get(name) : undefined;
  if (byName !== undefined) return byName;
  if (isNetworkCode(code) || (isText(syscall) && NETWORK_CALL.test(syscall))) return "passing";
  if ($retryable) return $retryable.throttling ? "throttled" : "passing";
  const status = $metadata?.httpStatusCode;
  if (typeof status === "number") return classifyStatus(status, name);
  if (NETWORK_MESSAGE.test(message)) return "passing";
  return CONFIGURATION.test(message) ? "lasting" : undefined;
}

function classifyStatus(status: number, name: unknown): SdkFailure {
  if (status === 429) return "throttled";
  if (status === 401 || status === 403) return "denied";
  if (status === 408 || status >= 500) return "passing";
  // A reply that broke off, or a page of a proxy: it is not JSON.
  return name === "SyntaxError" ? "passing" : "unknown";
}

function isNetworkCode(code: unknown): boolean {
  return isText(code) && (NETWORK_CODES.has(code) || NETWORK_FAMILY.test(code));
}

/** The error, then what lies beneath it. */
function causesOf(error: unknown): readonly SdkError[] {
  const found: SdkError[] = [];
  const queue: unknown[] = [error];
  while (queue.length > 0 && found.length < CAUSES_LOOKED_AT) {
    const link = queue.shift();
    if (typeof link !== "object" || link === null || found.includes(link)) continue;
    found.push(link);
    const { cause, errors } = link as SdkError;
    queue.push(cause, ...(Array.isArray(errors) ? errors.slice(0, CAUSES_LOOKED_AT) : []));
  }
  return found;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/**
 * The SDK hangs the HTTP response on its errors, and with it the connection and the request's headers,
 * a session token among them. A copy of such an error without it; any other as it is.
 */
export function withoutResponse(error: unknown): unknown {
  if (!(error instanceof Error) || !Object.hasOwn(error, "$response")) return error;
  const kept: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(error);
  delete kept["$response"];
  // An accessor that answers for the error alone, in some versions of Node.
  kept["stack"] = { value: error.stack, configurable: true, writable: true };
  return Object.create(Object.getPrototypeOf(error) as object, kept);
}
