import { formatPosition, positionOf } from "../checkpoints/position.ts";
import { MAX_TIMER_MS } from "../clock.ts";
import { ConfigError, KcError } from "../errors.ts";
import { NonRetriableError, RetryAfterError } from "../handler-errors.ts";
import type { ConsumerRecord } from "../record.ts";
import type { DeadLetterReason } from "./letters/dead-letter.ts";
import { DecoderRefusal, UndecodableError } from "./decode.ts";

/** `RetryOptions` with every default filled in. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
  readonly shouldRetry: ((error: unknown, record: ConsumerRecord) => boolean) | undefined;
}

export interface FailurePolicy {
  readonly retry: RetryPolicy;
  /** In milliseconds; Infinity = no limit. */
  readonly maxRecordAgeMs: number;
}

export interface FailedAttempt {
  /** 1 for the first. */
  readonly attempt: number;
  /** What was thrown. */
  readonly error: unknown;
  readonly record: ConsumerRecord;
  /** How long ago the record arrived, by the service's clock. */
  readonly ageMs: number;
}

export type Verdict =
  | { readonly kind: "retry"; readonly afterMs: number }
  | { readonly kind: "give-up"; readonly reason: DeadLetterReason };

/**
 * Decides what follows a failed attempt. The type of the error decides first, then the number of attempts,
 * `shouldRetry` and the record's age: a record that would be too old at its next attempt is given up now.
 * @param random numbers in [0, 1)
 * @throws KcError that ends the scan whatever `onFailure` is: `decode` is async, or `shouldRetry` failed
 */
export function verdictOf(
  { attempt, error, record, ageMs }: FailedAttempt,
  { retry, maxRecordAgeMs }: FailurePolicy,
  random: () => number,
): Verdict {
  const decided = decidedBy(error);
  if (decided !== undefined) return { kind: "give-up", reason: decided };
  if (attempt >= retry.maxAttempts) return { kind: "give-up", reason: "attempts" };
  if (!asksForRetry(retry, error, record)) return { kind: "give-up", reason: "non-retriable" };
  const afterMs = delayOf(error) ?? retryDelayMs(attempt, retry, random);
  if (ageMs + afterMs > maxRecordAgeMs) return { kind: "give-up", reason: "age" };
  return { kind: "retry", afterMs };
}

/**
 * The delay before the next attempt: random between `minDelayMs` and a bound that grows exponentially with
 * the attempts (jitter), so that handlers that failed together do not retry together. At least 1 ms.
 */
export function retryDelayMs(
  attempts: number,
  { minDelayMs, maxDelayMs, factor }: RetryPolicy,
  random: () => number,
): number {
  const bound = Math.min(maxDelayMs, minDelayMs * factor ** Math.min(attempts, 100));
  return Math.max(1, minDelayMs + random() * (bound - minDelayMs));
}

/** Whether the handler asked for a delay: then the next attempt may succeed with the same records. */
export function asksForDelay(error: unknown): boolean {
  return delayOf(error) !== undefined;
}

function asksForRetry(
  { shouldRetry }: RetryPolicy,
  error: unknown,
  record: ConsumerRecord,
): boolean {
  if (shouldRetry === undefined) return true;
  let answer: unknown;
  try {
    answer = shouldRetry(error, record);
  } catch (cause) {
    const { shardId } = record;
    const message = `${shardId}: retry.shouldRetry failed at ${formatPosition(positionOf(record))}`;
    throw new KcError("HANDLER_FAILED", message, { shardId, cause });
  }
  if (typeof answer === "boolean") return answer;
  throw new ConfigError("retry.shouldRetry", `must answer true or false, not ${typeof answer}`);
}

/** Why another attempt would not help; undefined if the error does not say. @throws DecoderRefusal */
function decidedBy(error: unknown): DeadLetterReason | undefined {
  if (readable(() => error instanceof DecoderRefusal)) throw error;
  if (readable(() => error instanceof UndecodableError)) return "undecodable";
  if (readable(() => NonRetriableError.is(error))) return "non-retriable";
  return undefined;
}

/** The delay that the handler asked for; undefined if it asked for none, or not for a valid one. */
function delayOf(error: unknown): number | undefined {
  const delayMs = readable(() => (RetryAfterError.is(error) ? error.delayMs : undefined));
  if (typeof delayMs !== "number" || !(delayMs >= 0)) return undefined;
  return Math.min(Math.max(1, delayMs), MAX_TIMER_MS);
}

/** Returns undefined if reading throws: the error may be a proxy or have a throwing getter. */
function readable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
