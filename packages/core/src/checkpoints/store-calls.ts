import type { BackoffPolicy } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import { describeError, KcError, StoreError } from "../errors.ts";
import { retry } from "../retry.ts";
import { classifySdkError } from "../sdk-failure.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/troubles.ts";
import { fixedPatience, type Patience } from "./patience.ts";
import type { CallOptions, Store } from "./store.ts";

/** Waits stay well below a stop's time, so that a store that is back is found before that is over. */
const BACKOFF: BackoffPolicy = { baseMs: 100, maxMs: 5000 };
/** One call to the store may take so long, in milliseconds, unless a group needs its answer sooner. */
export const CALL_TIMEOUT_MS = 30_000;

export interface StoreCallsOptions<S extends Store> {
  readonly store: S;
  readonly clock: Clock;
  readonly random: () => number;
  readonly telemetry: Telemetry;
  /** How long one call may take, in milliseconds. @default 30000 */
  readonly timeoutMs?: number;
  /** The shard that all calls are for. @default they are the application's */
  readonly shardId?: string;
}

/**
 * The user's store behind one policy: a passing failure is retried until the signal aborts, a
 * lasting one is thrown. Neither is ever taken for an answer.
 */
export class StoreCalls<S extends Store = Store> {
  readonly store: S;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: Telemetry;
  readonly #timeoutMs: number;
  readonly #shardId: string | undefined;
  /** Those whose last try failed, by operation. */
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
   * One try, within a fixed time or by the caller's patience.
   * @throws StoreError, `retryable` if it was a passing failure; the signal's reason
   */
  async once<T>(
    operation: string,
    signal: AbortSignal,
    attempt: (options: Required<CallOptions>) => Promise<T>,
    patience: Patience = fixedPatience(this.#clock, this.#timeoutMs),
  ): Promise<T> {
    const { troubles } = this.#telemetry;
    const call: Call = this.#failing.get(operation) ?? this.#call(operation);
    signal.throwIfAborted();
    const since = this.#clock.monotonic();
    const limit = patience.begin(signal, (ms) => timeoutError(operation, ms));
    try {
      const answer = await limit.wait(attempt({ signal: limit.signal }));
      patience.answered(this.#clock.monotonic() - since);
      this.#failing.delete(operation);
      troubles.answered(call);
      return answer;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toStoreError(operation, thrown);
      if (error.retryable) {
        this.#failing.set(operation, call);
        troubles.failed(call, error);
      }
      throw error;
    } finally {
      patience.end();
    }
  }

  /**
   * `attempt` is called again for each try, so that a retried flush can carry what was done since.
   * @throws StoreError that a retry does not fix; the signal's reason.
   */
  async retry<T>(
    operation: string,
    signal: AbortSignal,
    attempt: (options: Required<CallOptions>) => Promise<T>,
    patience: Patience = fixedPatience(this.#clock, this.#timeoutMs),
  ): Promise<T> {
    let failures = 0;
    try {
      return await retry({
        signal,
        backoff: BACKOFF,
        random: this.#random,
        attempt: () => this.once(operation, signal, attempt, patience),
        onFailure: (error) => {
          if (!KcError.is(error) || !error.retryable) throw error;
          this.#telemetry.add("retries", 1, { operation, error: error.code });
          return (failures += 1);
        },
        pause: (ms) => patience.pause(ms, signal),
      });
    } finally {
      this.#drop(operation);
    }
  }

  /** The caller is through: what failed and was not called again is not needed any more. */
  settle(): void {
    for (const operation of this.#failing.keys()) this.#drop(operation);
  }

  #call(operation: string): Call {
    const shardId = this.#shardId;
    return { service: "store", operation, ...(shardId === undefined ? {} : { shardId }) };
  }

  /** It is not tried any more. */
  #drop(operation: string): void {
    const call = this.#failing.get(operation);
    if (call === undefined) return;
    this.#failing.delete(operation);
    this.#telemetry.troubles.dropped(call);
  }
}

function timeoutError(operation: string, ms: number): StoreError {
  const message = `${operation} did not answer within ${Math.round(ms)} ms`;
  return new StoreError("STORE_UNAVAILABLE", message, { retryable: true });
}

/** Our adapters throw typed errors; of a stranger's, network trouble and throttles are known to pass. */
function toStoreError(operation: string, error: unknown): KcError {
  if (KcError.is(error)) return error;
  const failure = classifySdkError(error);
  const passing = failure === "passing" || failure === "throttled";
  return new StoreError(
    passing ? "STORE_UNAVAILABLE" : "STORE_FAILED",
    `${operation} failed: ${describeError(error)}`,
    { retryable: passing, cause: error },
  );
}
