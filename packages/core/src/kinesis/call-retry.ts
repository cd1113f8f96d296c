import type { BackoffPolicy } from "../backoff.ts";
import { sleep, type Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import { retry } from "../retry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/troubles.ts";
import { adviceOn, httpStatusOf } from "./call-advice.ts";
import { callFailure, type CallTarget } from "./call-failure.ts";
import { classify, type KinesisFailure } from "./classify.ts";

/** Waits between the tries of a call. */
export const BACKOFF: BackoffPolicy = { baseMs: 200, maxMs: 30_000 };
/** Rights take a while to spread, and an unknown failure may pass: after this time, it counts as lasting. */
export const DOUBTED_FOR_MS = 60_000;

export interface RetriedCall {
  /** What is called now: one attempt may make several calls. */
  readonly operation: string;
  readonly shardId?: string | undefined;
  /** Is there evidence against a reply that says that the stream or shard does not exist? */
  readonly doubtsNotFound?: (signal: AbortSignal) => boolean | Promise<boolean>;
}

/**
 * One policy for all calls of a stream. What passes is tried again without limit, until the signal
 * aborts; a refusal, or an unknown failure, for a minute.
 */
export class CallRetry {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: Telemetry;
  readonly #target: () => CallTarget;
  /** There was a reply, of whatever kind: the endpoint and the client speak one protocol. */
  #replied = false;

  constructor(options: {
    readonly clock: Clock;
    readonly random: () => number;
    readonly telemetry: Telemetry;
    /** As far as it is known when it is asked for. */
    readonly target: () => CallTarget;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#telemetry = options.telemetry;
    this.#target = options.target;
  }

  /**
   * @throws the signal's reason; KcError of what was denied or not known for a minute; the SDK's own
   * error where the caller must decide: iterators, tokens, arguments, what is not found
   */
  async run<Output>(
    call: RetriedCall,
    signal: AbortSignal,
    attempt: () => Promise<Output>,
  ): Promise<Output> {
    const tries = new FailedTries(call);
    try {
      const answer = await retry({
        signal,
        backoff: BACKOFF,
        random: this.#random,
        attempt,
        onFailure: (error) => this.#onFailure(tries, call, error, signal),
        pause: (ms) => sleep(this.#clock, ms, signal),
      });
      this.#replied = true;
      this.#telemetry.troubles.answered(callOf(call));
      return answer;
    } finally {
      if (signal.aborted && tries.last) this.#telemetry.troubles.dropped(tries.last);
    }
  }

  async #onFailure(
    tries: FailedTries,
    call: RetriedCall,
    error: unknown,
    signal: AbortSignal,
  ): Promise<number> {
    const last = tries.failed();
    const failure = classify(error);
    this.#replied ||= httpStatusOf(error) !== undefined;
    const passes =
      failure === "throttled" ||
      failure === "passing" ||
      (failure === "not-http2" && this.#replied);
    const doubted = !passes && (await isDoubted(failure, call, signal));
    const triedForMs = tries.doubtedForMs(doubted, this.#clock.monotonic());
    if ((!passes && !doubted) || triedForMs >= DOUBTED_FOR_MS) {
      throw KcError.is(error) || isCallers(failure, call, doubted)
        ? error
        : callFailure({ ...call, target: this.#target(), triedForMs }, error);
    }
    this.#report(last, error);
    return tries.failures;
  }

  #report(call: Call, error: unknown): void {
    const { operation } = call;
    const name = this.#telemetry.errorNames.of(error);
    this.#telemetry.add("retries", 1, { operation, error: name });
    const { region, endpoint } = this.#target();
    this.#telemetry.troubles.failed(call, error, {
      region,
      endpoint,
      httpStatus: httpStatusOf(error),
      advice: adviceOn(error, operation) || undefined,
    });
  }
}

/** The tries of one call that failed in a row. Once a later operation fails, the one before was answered. */
class FailedTries {
  readonly #call: RetriedCall;
  /** What failed last. */
  last: Call | undefined;
  failures = 0;
  /** By the monotonic clock: a wall clock that is set must not end a scan. */
  #doubtedSince: number | undefined;

  constructor(call: RetriedCall) {
    this.#call = call;
  }

  failed(): Call {
    if (this.last?.operation !== this.#call.operation) {
      this.last = callOf(this.#call);
      this.failures = 0;
      this.#doubtedSince = undefined;
    }
    this.failures += 1;
    return this.last;
  }

  /** For how long the answers have been doubted, in milliseconds. */
  doubtedForMs(doubted: boolean, now: number): number {
    this.#doubtedSince = doubted ? (this.#doubtedSince ?? now) : undefined;
    return now - (this.#doubtedSince ?? now);
  }
}

function callOf({ operation, shardId }: RetriedCall): Call {
  return { service: "kinesis", operation, shardId };
}

async function isDoubted(
  failure: KinesisFailure,
  { doubtsNotFound }: RetriedCall,
  signal: AbortSignal,
): Promise<boolean> {
  if (failure === "not-found") return (await doubtsNotFound?.(signal)) ?? false;
  return failure === "denied" || failure === "unknown" || failure === "not-http2";
}

/** What only the caller can judge: it knows what the iterator, token, argument or shard means. */
function isCallers(failure: KinesisFailure, { shardId }: RetriedCall, doubted: boolean): boolean {
  return (
    failure === "expired-iterator" ||
    failure === "expired-token" ||
    failure === "invalid-argument" ||
    (failure === "not-found" && shardId !== undefined && !doubted)
  );
}
