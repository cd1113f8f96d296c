import { classifySdkError, type SdkFailure } from "../sdk-failure.ts";

/**
 * What an error of a Kinesis call means, pure: what every AWS service has in common, and
 * - `expired-iterator`: needs a new iterator;
 * - `expired-token`: a listing must start over;
 * - `not-found`: the stream or the shard does not exist;
 * - `invalid-argument`: an argument the service refuses: another try would fail alike.
 */
export type KinesisFailure =
  | SdkFailure
  | "expired-iterator"
  | "expired-token"
  | "not-found"
  | "invalid-argument";

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
  return BY_NAME.get(name) ?? classifySdkError(error);
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
