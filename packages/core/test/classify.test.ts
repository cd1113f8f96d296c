import * as sdk from "@aws-sdk/client-kinesis";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KcError } from "../src/index.ts";
import { classify, classifyRefusal, type KinesisFailure } from "../src/kinesis/classify.ts";

const MODELLED: Readonly<Record<string, KinesisFailure>> = {
  AccessDeniedException: "denied",
  DryRunOperationException: "permanent",
  ExpiredIteratorException: "expired-iterator",
  ExpiredNextTokenException: "expired-token",
  InternalFailureException: "transient",
  InvalidArgumentException: "invalid-argument",
  KMSAccessDeniedException: "denied",
  KMSDisabledException: "denied",
  KMSInvalidStateException: "denied",
  KMSNotFoundException: "denied",
  KMSOptInRequired: "denied",
  KMSThrottlingException: "throttled",
  LimitExceededException: "throttled",
  ProvisionedThroughputExceededException: "throttled",
  ResourceInUseException: "transient",
  ResourceNotFoundException: "not-found",
  ValidationException: "invalid-argument",
};

test("every error that the SDK models has a class of its own", () => {
  const modelled = Object.entries(sdk)
    .filter(([, value]) => isErrorClass(value))
    .map(([name]) => name);
  expect(modelled.toSorted()).toEqual(Object.keys(MODELLED).toSorted());
  for (const [name, failure] of Object.entries(MODELLED)) {
    const error = Object.assign(new Error(), { name, $metadata: { httpStatusCode: 400 } });
    expect([name, classify(error)]).toEqual([name, failure]);
  }
});

const OTHERS: readonly (readonly [what: string, error: unknown, failure: KinesisFailure])[] = [
  ["a reset connection", coded("ECONNRESET"), "transient"],
  ["a name that is not found", coded("ENOTFOUND"), "transient"],
  ["a cause that is a reset", new Error("failed", { cause: coded("ECONNRESET") }), "transient"],
  ["an HTTP/2 session that went away", coded("ERR_HTTP2_GOAWAY_SESSION"), "transient"],
  ["an HTTP/2 error of any code", coded("ERR_HTTP2_ANYTHING"), "transient"],
  [
    "an HTTP/2 stream without a reply",
    new Error("Unexpected error: http2 request did not get a response"),
    "transient",
  ],
  [
    "an HTTP/2 stream that was aborted",
    new Error("HTTP/2 stream is abnormally aborted in mid-communication with result code 8."),
    "transient",
  ],
  [
    "an HTTP/2 frame that failed",
    new Error("Frame type id 1 in stream id 3 has failed with code 2."),
    "transient",
  ],
  ["a socket that hung up", new Error("socket hang up"), "transient"],
  ["a 500 of any name", replied("Strange", 500), "transient"],
  ["a 503 that is HTML", replied("SyntaxError", 503), "transient"],
  ["a reply that broke off", replied("SyntaxError", 200), "transient"],
  ["a 429 of any name", replied("Strange", 429), "throttled"],
  ["a 403 of any name", replied("Strange", 403), "denied"],
  ["a 408 of any name", replied("Strange", 408), "transient"],
  ["a 400 of any name", replied("Strange", 400), "unknown"],
  ["a redirect", replied("UnknownError", 301), "unknown"],
  ["what the SDK calls retryable", Object.assign(new Error(), { $retryable: {} }), "transient"],
  [
    "what the SDK calls a throttle",
    Object.assign(new Error(), { $retryable: { throttling: true } }),
    "throttled",
  ],
  [
    "no credentials yet",
    named("CredentialsProviderError", "Could not load credentials"),
    "transient",
  ],
  [
    "a token that expired",
    named("ExpiredTokenException", "The security token expired"),
    "transient",
  ],
  [
    "a clock that is behind",
    named("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than"),
    "transient",
  ],
  [
    "a clock that is ahead",
    named("InvalidSignatureException", "Signature not yet current: 20260101"),
    "transient",
  ],
  [
    "a wrong secret",
    named("InvalidSignatureException", "The request signature we calculated does not match"),
    "denied",
  ],
  [
    "an unknown access key",
    named("UnrecognizedClientException", "The security token is invalid"),
    "denied",
  ],
  ["a corrupt TLS record", coded("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), "transient"],
  ["undici's headers time-out", coded("UND_ERR_HEADERS_TIMEOUT"), "transient"],
  ["a reply that the HTTP parser refuses", coded("HPE_INVALID_CONSTANT"), "transient"],
  ["a firewall", Object.assign(coded("EPERM"), { syscall: "connect" }), "transient"],
  [
    "no room for another socket",
    Object.assign(coded("ENOBUFS"), { syscall: "connect" }),
    "transient",
  ],
  [
    "fetch that failed",
    new TypeError("fetch failed", { cause: coded("UND_ERR_CONNECT_TIMEOUT") }),
    "transient",
  ],
  [
    "no address that answers",
    new AggregateError([coded("ETIMEDOUT"), coded("ENETUNREACH")], "all failed"),
    "transient",
  ],
  ["a call that somebody cut short", named("AbortError", "Request aborted"), "transient"],
  [
    "STS without the provider's keys",
    named("InvalidIdentityToken", "Couldn't retrieve"),
    "transient",
  ],
  ["STS that is throttled", named("Throttling", "Rate exceeded"), "throttled"],
  ["a certificate of nobody's", coded("DEPTH_ZERO_SELF_SIGNED_CERT"), "unknown"],
  [
    "the same beneath HTTP/2",
    Object.assign(coded("ERR_HTTP2_STREAM_CANCEL"), { cause: coded("CERT_HAS_EXPIRED") }),
    "unknown",
  ],
  ["a region that is missing", new Error("Region is missing"), "permanent"],
  ["an operation that is not there", named("UnknownOperationException", ""), "permanent"],
  [
    "an error of ours that passes",
    new KcError("STORE_FAILED", "", { retryable: true }),
    "transient",
  ],
  ["an error of ours", new KcError("STORE_FAILED", "", { cause: coded("EPIPE") }), "permanent"],
  ["a bug", new TypeError("x is not a function"), "unknown"],
  ["bad JSON of our own", new SyntaxError("Unexpected token"), "unknown"],
  ["an error named after a property of every object", named("constructor", ""), "unknown"],
  ["nothing", undefined, "unknown"],
  ["a string", "ECONNRESET", "unknown"],
  ["a cause that is the error itself", circular(), "unknown"],
];

test.each(OTHERS)("%s", (_what, error, failure) => {
  expect(classify(error)).toBe(failure);
});

test("whatever is thrown, classify has an answer", () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true }), (thrown) => {
      expect(typeof classify(thrown)).toBe("string");
    }),
  );
});

const REFUSALS = [
  [
    "another-shard",
    "Invalid StartingSequenceNumber. It encodes shardId-000000000007, while it was used in a call to a shard with shardId-000000000000",
  ],
  [
    "another-stream",
    "StartingSequenceNumber 4959 used in GetShardIterator on shard shardId-000000000000 in stream orders under account 000000000000 is invalid because it did not come from this stream.",
  ],
  ["trimmed", "The sequence number 4959 has been trimmed."],
  [
    "unknown",
    "StartingSequenceNumber 4959 used in GetShardIterator on shard shardId-000000000000 in stream orders under account 000000000000 is invalid.",
  ],
  ["unknown", "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER"],
] as const;

test.each(REFUSALS)("a refused position: %s", (refusal, message) => {
  expect(classifyRefusal(message)).toBe(refusal);
});

function isErrorClass(value: unknown): boolean {
  return (
    typeof value === "function" &&
    value !== sdk.KinesisServiceException &&
    Object.prototype.isPrototypeOf.call(sdk.KinesisServiceException, value)
  );
}

function circular(): Error {
  const error: Error = new Error("it failed");
  error.cause = error;
  return error;
}

function coded(code: string): Error {
  return Object.assign(new Error(`it failed: ${code}`), { code });
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: 400 } });
}

function replied(name: string, httpStatusCode: number): Error {
  return Object.assign(new Error(), { name, $metadata: { httpStatusCode } });
}
