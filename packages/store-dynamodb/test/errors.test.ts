import { KcError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { ERROR_NAMES, isContention, refusalsOf, toStoreError } from "../src/errors.ts";

/** As the service's reference and the SDK name them, and what each is to become. */
const EXPECTED = [
  ["ProvisionedThroughputExceededException", "STORE_UNAVAILABLE", true],
  ["ThrottlingException", "STORE_UNAVAILABLE", true],
  ["ThrottlingError", "STORE_UNAVAILABLE", true],
  ["ProvisionedThroughputExceeded", "STORE_UNAVAILABLE", true],
  ["RequestLimitExceeded", "STORE_UNAVAILABLE", true],
  ["LimitExceededException", "STORE_UNAVAILABLE", true],
  ["TransactionConflictException", "STORE_UNAVAILABLE", true],
  ["TransactionConflict", "STORE_UNAVAILABLE", true],
  ["TransactionInProgressException", "STORE_UNAVAILABLE", true],
  ["ReplicatedWriteConflictException", "STORE_UNAVAILABLE", true],
  ["InternalServerError", "STORE_UNAVAILABLE", true],
  ["InternalFailure", "STORE_UNAVAILABLE", true],
  ["ServiceUnavailable", "STORE_UNAVAILABLE", true],
  ["ServiceUnavailableException", "STORE_UNAVAILABLE", true],
  ["TimeoutError", "STORE_UNAVAILABLE", true],
  ["RequestTimeout", "STORE_UNAVAILABLE", true],
  ["RequestTimeoutException", "STORE_UNAVAILABLE", true],
  ["CredentialsProviderError", "STORE_UNAVAILABLE", true],
  ["ProviderError", "STORE_UNAVAILABLE", true],
  ["TokenProviderError", "STORE_UNAVAILABLE", true],
  ["ExpiredToken", "STORE_UNAVAILABLE", true],
  ["ExpiredTokenException", "STORE_UNAVAILABLE", true],
  ["RequestExpired", "STORE_UNAVAILABLE", true],
  ["RequestTimeTooSkewed", "STORE_UNAVAILABLE", true],
  ["AccessDeniedException", "STORE_ACCESS_DENIED", false],
  ["UnrecognizedClientException", "STORE_ACCESS_DENIED", false],
  ["InvalidClientTokenId", "STORE_ACCESS_DENIED", false],
  ["InvalidSignatureException", "STORE_ACCESS_DENIED", false],
  ["IncompleteSignatureException", "STORE_ACCESS_DENIED", false],
  ["MissingAuthenticationTokenException", "STORE_ACCESS_DENIED", false],
  ["OptInRequired", "STORE_ACCESS_DENIED", false],
  ["ResourceNotFoundException", "STORE_SCHEMA", false],
  ["TableNotFoundException", "STORE_SCHEMA", false],
  ["ValidationException", "STORE_FAILED", false],
  ["ValidationError", "STORE_FAILED", false],
  ["ItemCollectionSizeLimitExceededException", "STORE_FAILED", false],
] as const;

/** Tried again at once, within the call: the others are the caller's to try again. */
const CONTENTION = new Set<string>(EXPECTED.slice(0, 10).map(([name]) => name));

const named = (name: string, own: object = {}, message = "a text"): Error =>
  Object.assign(new Error(message), { name }, own);

describe("errors by name", () => {
  it.each(EXPECTED)("%s is %s, retryable %s", (name, code, retryable) => {
    const error = named(name);
    const mapped = toStoreError(error, "checkpoints");
    expect(mapped).toMatchObject({ code, retryable, cause: error, name: "StoreError" });
    expect(mapped.message).toContain("table checkpoints: ");
    expect(mapped.message).toContain(`(${name}: a text)`);
    expect(isContention(error)).toBe(CONTENTION.has(name));
  });

  it("are all tried", () => {
    const tried = new Set<string>(EXPECTED.map(([name]) => name));
    expect(Object.keys(ERROR_NAMES).filter((name) => !tried.has(name))).toStrictEqual([]);
  });
});

describe("other errors", () => {
  it.each([
    "ECONNREFUSED",
    "ECONNRESET",
    "EPIPE",
    "ETIMEDOUT",
    "ENOTFOUND",
    "EAI_AGAIN",
    "EPROTO",
    "EMFILE",
    "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "UND_ERR_HEADERS_TIMEOUT",
  ])("%s passes", (code) => {
    const mapped = toStoreError(named("Error", { code }), "checkpoints");
    expect(mapped).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  });

  it.each([
    ["STS that is throttled", named("Throttling", {}, "Rate exceeded")],
    ["an identity provider that does not answer", named("InvalidIdentityToken")],
    [
      "a clock that is off",
      named("InvalidSignatureException", {}, "Signature expired: 20260101T000000Z"),
    ],
    ["a table that is being changed", named("ResourceInUseException")],
    ["a connection that broke beneath", new Error("x", { cause: { code: "ECONNRESET" } })],
  ])("%s passes", (_what, error) => {
    expect(toStoreError(error, "checkpoints")).toMatchObject({
      code: "STORE_UNAVAILABLE",
      retryable: true,
    });
  });

  it.each([
    [408, "STORE_UNAVAILABLE", true],
    [500, "STORE_UNAVAILABLE", true],
    [503, "STORE_UNAVAILABLE", true],
    [429, "STORE_UNAVAILABLE", true],
    [401, "STORE_ACCESS_DENIED", false],
    [403, "STORE_ACCESS_DENIED", false],
    [400, "STORE_FAILED", false],
  ])("a status of %i with a name that is not known is %s", (httpStatusCode, code, retryable) => {
    const error = named("UnknownError", { $metadata: { httpStatusCode } });
    expect(toStoreError(error, "checkpoints")).toMatchObject({ code, retryable });
  });

  it.each([
    "The provided key element does not match the schema",
    "One or more parameter values were invalid: Missing the key shard_id in the item",
    "Query condition missed key schema element: namespace",
    "The number of conditions on the keys is invalid",
    "One of the required keys was not given a value",
    "One or more parameter values were invalid: Type mismatch for key shard_id expected: N actual: S",
  ])("a ValidationException on keys is the schema's: %s", (message) => {
    const mapped = toStoreError(named("ValidationException", {}, message), "checkpoints");
    expect(mapped).toMatchObject({ code: "STORE_SCHEMA", retryable: false });
    expect(mapped.message).toContain("TableName: checkpoints");
  });

  it.each([named("toString"), new RangeError("other"), "a text", undefined])(
    "%s is STORE_FAILED",
    (error) => {
      const mapped = toStoreError(error, "checkpoints");
      expect(mapped).toMatchObject({ code: "STORE_FAILED", retryable: false });
      expect(isContention(error)).toBe(false);
    },
  );

  it("an error of this library stays as it is", () => {
    const error = new KcError("STORE_CLOSED", "disposed");
    expect(toStoreError(error, "checkpoints")).toBe(error);
  });
});

describe("a cancelled transaction", () => {
  const cancelled = (...codes: string[]): Error =>
    named("TransactionCanceledException", {
      CancellationReasons: codes.map((Code) => ({ Code, Item: { seen: { S: Code } } })),
    });

  it("whose condition failed is an outcome, whatever else was the matter", () => {
    for (const other of ["None", "TransactionConflict"]) {
      expect(refusalsOf(cancelled(other, "ConditionalCheckFailed"))).toStrictEqual([
        { failed: false, item: { seen: { S: other } } },
        { failed: true, item: { seen: { S: "ConditionalCheckFailed" } } },
      ]);
    }
  });

  it.each([
    [["None", "TransactionConflict"], "STORE_UNAVAILABLE", true],
    [["ThrottlingError", "None"], "STORE_UNAVAILABLE", true],
    [["ProvisionedThroughputExceeded", "None"], "STORE_UNAVAILABLE", true],
    [["TransactionConflict", "ValidationError"], "STORE_FAILED", false],
    [["SomethingNew"], "STORE_FAILED", false],
    [["None"], "STORE_FAILED", false],
  ])("for %o is %s, retryable %s", (codes, code, retryable) => {
    const error = cancelled(...codes);
    expect(refusalsOf(error)).toBeUndefined();
    expect(toStoreError(error, "checkpoints")).toMatchObject({ code, retryable });
    expect(isContention(error)).toBe(retryable);
  });

  it("for a key of another type is the schema's", () => {
    const reasons = [{ Code: "ValidationError", Message: "Type mismatch for key shard_id" }];
    const error = named("TransactionCanceledException", { CancellationReasons: reasons });
    expect(toStoreError(error, "checkpoints").code).toBe("STORE_SCHEMA");
  });

  it("is not what other errors are", () => {
    expect(refusalsOf(named("ThrottlingException"))).toBeUndefined();
    expect(refusalsOf("a text")).toBeUndefined();
    const failed = named("ConditionalCheckFailedException", { Item: { a: { S: "b" } } });
    expect(refusalsOf(failed)).toStrictEqual([{ failed: true, item: { a: { S: "b" } } }]);
    expect(refusalsOf(named("ConditionalCheckFailedException"))).toStrictEqual([
      { failed: true, item: undefined },
    ]);
  });
});
