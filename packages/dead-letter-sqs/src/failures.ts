import type { LetterFailure } from "@kc/core/adapter";

const MISSING: LetterFailure = {
  retryable: false,
  advice: "there is no such queue in this account and Region: create it, or correct `queueUrl`",
};
const KEY: LetterFailure = {
  retryable: false,
  advice: "the queue's KMS key cannot be used: allow kms:GenerateDataKey and kms:Decrypt on it",
};
const BUSY: LetterFailure = { retryable: true, advice: "SQS throttles" };
const REFUSED: LetterFailure = { retryable: false, advice: "the request was refused" };

/** SQS's own errors, by their `name`. */
export const FAILURES: Readonly<Record<string, LetterFailure>> = {
  QueueDoesNotExist: MISSING,
  "AWS.SimpleQueueService.NonExistentQueue": MISSING,
  QueueDeletedRecently: MISSING,
  InvalidAddress: MISSING,

  KmsAccessDenied: KEY,
  KmsDisabled: KEY,
  KmsInvalidKeyUsage: KEY,
  KmsInvalidState: KEY,
  KmsNotFound: KEY,
  KmsOptInRequired: KEY,
  KmsThrottled: BUSY,

  OverLimit: BUSY,
  RequestThrottled: BUSY,

  BatchRequestTooLong: {
    retryable: false,
    advice: "a request was too long: set `maxMessageBytes` to the queue's MaximumMessageSize",
  },
  InvalidMessageContents: REFUSED,
  InvalidSecurity: REFUSED,
  UnsupportedOperation: REFUSED,
};

/** The error of one message of a request. */
export interface Refusal {
  readonly Code?: string | undefined;
  readonly Message?: string | undefined;
  readonly SenderFault?: boolean | undefined;
}

/** With `SenderFault`, the same message would be refused again, so the failure is not retryable. */
export function failureOf({
  Code: code = "",
  Message: message,
  SenderFault,
}: Refusal): LetterFailure {
  const said = `${code}${message === undefined ? "" : `: ${message}`}`;
  if (SenderFault !== true) {
    return { retryable: true, advice: `some messages were not accepted (${said})` };
  }
  const own = Object.hasOwn(FAILURES, code) ? FAILURES[code]?.advice : undefined;
  return { retryable: false, advice: `${own ?? "a message was refused"} (${said})` };
}

/** Whether the message exceeds the queue's limit. The service has no code for it. */
export function isTooLong({ Message: message = "" }: Refusal): boolean {
  return /must be shorter than \d+ bytes/.test(message);
}
