import type { BackoffPolicy } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import { describeError, KcError, StoreError } from "../errors.ts";
import { retry } from "../retry.ts";
import { classifySdkError } from "../sdk-failure.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/failing-calls.ts";
import { fixedTimeout, type AdaptiveTimeout } from "./adaptive-timeout.ts";
import type { CallOptions, Store } from "./store.ts";

/** Delays stay well below a stop's deadline, so that a store that has recovered is noticed before it. */
const BACKOFF: BackoffPolicy = { baseMs: 100, maxMs: 5000 };
/** The timeout of one store call, in milliseconds, unless a group needs the result sooner. */
export const CALL_TIMEOUT_MS = 30_000;

export interface StoreCallsOptions<S extends Store> {
  readonly store: S;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** The timeout of one call, in milliseconds. @default 30000 */
  readonly timeoutMs?: number;
  /** The shard that all calls are for. @default none: they are for the application */
  readonly shardId?: string;
}

/**
 * Calls the user's store with one retry policy: a retryable failure is retried until the signal aborts, any
 * other is thrown. Neither is ever treated as a result.
 */
export class StoreCalls<S extends Store = Store> {
  readonly store: S;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: Telemetry;
  readonly #timeoutMs: number;
  readonly #shardId: string | undefined;
  /** The calls whose last attempt failed, by operation. */
  readonly #failing = new Map<string, Call>();

  constructor(options: StoreCallsOptions<S>) {
    this.store = options.store;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#telemetry = options.telemetry;
    this.#timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    this.#shardId = options.shardId;
  }

  /**
   * Makes one attempt, with a fixed timeout or the caller's.
   * @throws StoreError, with `retryable` set for a transient failure; the signal's reason
   */
  async once<T>(
    operation: string,
    signal: AbortSignal,
    attempt: (options: Required<CallOptions>) => Promise<T>,
    timeout: AdaptiveTimeout = fixedTimeout(this.#clock, this.#timeoutMs),
  ): Promise<T> {
    const { failingCalls } = this.#telemetry;
    const call: Call = this.#failing.get(operation) ?? this.#call(operation);
    signal.throwIfAborted();
    const since = this.#clock.monotonic();
    const limit = timeout.begin(signal, (ms) => timeoutError(operation, ms));
    try {
      const answer = await limit.wait(attempt({ signal: limit.signal }));
      timeout.answered(this.#clock.monotonic() - since);
      this.#failing.delete(operation);
      failingCalls.answered(call);
      return answer;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toStoreError(operation, thrown);
      if (error.retryable) {
        this.#failing.set(operation, call);
        failingCalls.failed(call, error);
      }
      throw error;
    } finally {
      timeout.end();
    }
  }

  /**
   * Retries until an attempt succeeds. `attempt` is called for each one, so that a retried flush can include
   * what was done since. @throws StoreError that is not retryable; the signal's reason
   */
  async retry<T>(
    operation: string,
    signal: AbortSignal,
    attempt: (options: Required<CallOptions>) => Promise<T>,
    timeout: AdaptiveTimeout = fixedTimeout(this.#clock, this.#timeoutMs),
  ): Promise<T> {
    let failures = 0;
    try {
      return await retry({
        signal,
        backoff: BACKOFF,
        random: this.#random,
        attempt: () => this.once(operation, signal, attempt, timeout),
        onFailure: (error) => {
          if (!KcError.is(error) || !error.retryable) throw error;
          this.#telemetry.add("retries", 1, { operation, error: error.code });
          return (failures += 1);
        },
        pause: (ms) => timeout.pause(ms, signal),
      });
    } finally {
      this.#drop(operation);
    }
  }

  /** The caller makes no further calls: drops calls that failed and were not repeated. */
  settle(): void {
    for (const operation of this.#failing.keys()) this.#drop(operation);
  }

  #call(operation: string): Call {
    const shardId = this.#shardId;
    return { service: "store", operation, ...(shardId === undefined ? {} : { shardId }) };
  }

  /** The call is not attempted any more. */
  #drop(operation: string): void {
    const call = this.#failing.get(operation);
    if (call === undefined) return;
    this.#failing.delete(operation);
    this.#telemetry.failingCalls.dropped(call);
  }
}

function timeoutError(operation: string, ms: number): StoreError {
  const message = `${operation} did not answer within ${Math.round(ms)} ms`;
  return new StoreError("STORE_UNAVAILABLE", message, { retryable: true });
}

/** Our adapters throw typed errors. Of other stores' errors only network errors and throttling count as transient. */
function toStoreError(operation: string, error: unknown): KcError {
  if (KcError.is(error)) return error;
  const failure = classifySdkError(error);
  const isTransient = failure === "transient" || failure === "throttled";
  return new StoreError(
    isTransient ? "STORE_UNAVAILABLE" : "STORE_FAILED",
    `${operation} failed: ${describeError(error)}`,
    { retryable: isTransient, cause: error },
  );
}
