import type { LetterFailure } from "@kc/core/adapter";

const MISSING: LetterFailure = {
  retryable: false,
  advice: "there is no such bucket: create it, or correct `bucket`",
};
const REGION: LetterFailure = {
  retryable: false,
  advice: "the bucket is in another Region: give a `client` of its Region",
};
const KEY: LetterFailure = {
  retryable: false,
  advice: "the KMS key cannot be used: allow kms:GenerateDataKey and kms:Decrypt on it",
};

/** S3's own errors, by their `name`. */
export const FAILURES: Readonly<Record<string, LetterFailure>> = {
  NoSuchBucket: MISSING,
  InvalidBucketName: MISSING,

  AuthorizationHeaderMalformed: REGION,
  PermanentRedirect: REGION,

  "KMS.DisabledException": KEY,
  "KMS.InvalidStateException": KEY,
  "KMS.KMSInvalidStateException": KEY,
  "KMS.NotFoundException": KEY,

  OperationAborted: { retryable: true, advice: "another write of the same letter was in progress" },
};
