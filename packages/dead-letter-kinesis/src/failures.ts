import type { LetterFailure } from "@kc/core/adapter";

const KEY: LetterFailure = {
  retryable: false,
  advice: "the stream's KMS key cannot be used: allow kms:GenerateDataKey on it",
};

/** Kinesis's own errors, by their `name`. */
export const FAILURES: Readonly<Record<string, LetterFailure>> = {
  ResourceNotFoundException: {
    retryable: false,
    advice: "there is no such stream in this account and Region: create it, or correct `stream`",
  },
  InvalidArgumentException: { retryable: false, advice: "the request was refused" },
  ValidationException: {
    retryable: false,
    advice: "the request was refused: set `maxRecordBytes` to the stream's limit",
  },
  KMSAccessDeniedException: KEY,
  KMSDisabledException: KEY,
  KMSInvalidStateException: KEY,
  KMSNotFoundException: KEY,
  KMSOptInRequired: KEY,
  KMSThrottlingException: { retryable: true, advice: "KMS throttles" },
};
