import type { BackoffPolicy } from "../backoff.ts";
import { sleep, type Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import { retry } from "../retry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/failing-calls.ts";
import { adviceOn, httpStatusOf } from "./call-advice.ts";
import { callFailure, type CallTarget } from "./call-failure.ts";
import { classify, type KinesisFailure } from "./classify.ts";

/** The waits between the attempts of a call. */
export const BACKOFF: BackoffPolicy = { baseMs: 200, maxMs: 30_000 };
/** New permissions take a while to propagate, and an unknown failure may be transient: both are retried this long. */
const RETRY_UNCERTAIN_FOR_MS = 60_000;

export interface RetriedCall {
  /** The operation that is being called: one attempt may make several calls. */
  readonly operation: string;
  readonly shardId?: string | undefined;
  /** Called after a not-found reply. Returns true if the stream or shard may exist all the same: then it retries. */
  readonly mayExist?: (signal: AbortSignal) => boolean | Promise<boolean>;
}

/**
 * The retry policy of all calls to a stream. Transient failures are retried without limit, until the signal
 * aborts. Denied calls and unknown failures are retried for a minute.
 */
export class CallRetry {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: Telemetry;
  readonly #target: () => CallTarget;
  /** A reply of any kind has arrived: the endpoint and the client speak the same protocol. */
  #replied = false;

  constructor(options: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly telemetry: Telemetry;
    /** Where the calls go, as far as it is known. */
    readonly target: () => CallTarget;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#telemetry = options.telemetry;
    this.#target = options.target;
  }

  /**
   * Calls `attempt` until it succeeds.
   * @throws the signal's reason; KcError if calls were denied, or failed for an unknown reason, for a
   * minute; the SDK's own error if the caller must decide: iterators, tokens, arguments, not-found
   */
  async run<Output>(
    call: RetriedCall,
    signal: AbortSignal,
    attempt: () => Promise<Output>,
  ): Promise<Output> {
    const attempts = new FailedAttempts(call);
    try {
      const answer = await retry({
        signal,
        backoff: BACKOFF,
        random: this.#random,
        attempt,
        onFailure: (error) => this.#onFailure(attempts, call, error, signal),
        pause: (ms) => sleep(this.#clock, ms, signal),
      });
      this.#replied = true;
      this.#telemetry.failingCalls.answered(callOf(call));
      return answer;
    } finally {
      if (signal.aborted && attempts.last) this.#telemetry.failingCalls.dropped(attempts.last);
    }
  }

  async #onFailure(
    attempts: FailedAttempts,
    call: RetriedCall,
    error: unknown,
    signal: AbortSignal,
  ): Promise<number> {
    const last = attempts.failed();
    const failure = classify(error);
    this.#replied ||= httpStatusOf(error) !== undefined;
    const isTransient =
      failure === "throttled" ||
      failure === "transient" ||
      (failure === "not-http2" && this.#replied);
    const isUncertain = !isTransient && (await mayBeTransient(failure, call, signal));
    const triedForMs = attempts.uncertainForMs(isUncertain, this.#clock.monotonic());
    if ((!isTransient && !isUncertain) || triedForMs >= RETRY_UNCERTAIN_FOR_MS) {
      throw KcError.is(error) || isForCaller(failure, call, isUncertain)
        ? error
        : callFailure({ ...call, target: this.#target(), triedForMs }, error);
    }
    this.#report(last, error);
    return attempts.failures;
  }

  #report(call: Call, error: unknown): void {
    const { operation } = call;
    const name = this.#telemetry.errorNames.of(error);
    this.#telemetry.add("retries", 1, { operation, error: name });
    const { region, endpoint } = this.#target();
    this.#telemetry.failingCalls.failed(call, error, {
      region,
      endpoint,
      httpStatus: httpStatusOf(error),
      advice: adviceOn(error, operation) || undefined,
    });
  }
}

/** The consecutive failed attempts of one call. If a later operation fails, the earlier one has succeeded. */
class FailedAttempts {
  readonly #call: RetriedCall;
  /** The call that failed last. */
  last: Call | undefined;
  failures = 0;
  /** By the monotonic clock: a change of the wall clock must not end a scan. */
  #uncertainSince: number | undefined;

  constructor(call: RetriedCall) {
    this.#call = call;
  }

  failed(): Call {
    if (this.last?.operation !== this.#call.operation) {
      this.last = callOf(this.#call);
      this.failures = 0;
      this.#uncertainSince = undefined;
    }
    this.failures += 1;
    return this.last;
  }

  /** How long the failures have been uncertain without a break, in milliseconds. */
  uncertainForMs(isUncertain: boolean, now: number): number {
    this.#uncertainSince = isUncertain ? (this.#uncertainSince ?? now) : undefined;
    return now - (this.#uncertainSince ?? now);
  }
}

function callOf({ operation, shardId }: RetriedCall): Call {
  return { service: "kinesis", operation, shardId };
}

/** Returns true if a failure that is not known to be transient may be so. */
async function mayBeTransient(
  failure: KinesisFailure,
  { mayExist }: RetriedCall,
  signal: AbortSignal,
): Promise<boolean> {
  if (failure === "not-found") return (await mayExist?.(signal)) ?? false;
  return failure === "denied" || failure === "unknown" || failure === "not-http2";
}

/** Returns true if only the caller knows what the failure means: of an iterator, token, argument or shard. */
function isForCaller(
  failure: KinesisFailure,
  { shardId }: RetriedCall,
  isUncertain: boolean,
): boolean {
  return (
    failure === "expired-iterator" ||
    failure === "expired-token" ||
    failure === "invalid-argument" ||
    (failure === "not-found" && shardId !== undefined && !isUncertain)
  );
}
