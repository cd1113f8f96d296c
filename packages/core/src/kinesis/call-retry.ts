import { backoffMs, type BackoffPolicy } from "../backoff.ts";
import { sleep, type Clock } from "../clock.ts";
import { KcError } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Call } from "../telemetry/troubles.ts";
import { adviceOn, httpStatusOf } from "./call-advice.ts";
import { callFailure, type CallTarget } from "./call-failure.ts";
import { classify, type KinesisFailure } from "./classify.ts";

/** Waits between the tries of a call. */
export const BACKOFF: BackoffPolicy = { baseMs: 200, maxMs: 30_000 };
/** Rights take a while to spread, and what nobody knows may pass: after this, it is taken to last. */
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
 * aborts; what the service refuses or nobody knows, for a minute.
 */
export class CallRetry {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #telemetry: Telemetry;
  readonly #target: () => CallTarget;

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
    /** What failed last. */
    let troubled: Call | undefined;
    let failures = 0;
    /** By the monotonic clock: a wall clock that is set must not end a scan. */
    let doubtedSince: number | undefined;
    try {
      for (;;) {
        signal.throwIfAborted();
        try {
          const answer = await attempt();
          this.#telemetry.troubles.answered(callOf(call));
          return answer;
        } catch (error) {
          signal.throwIfAborted();
          if (call.operation !== troubled?.operation) {
            // What failed before was answered.
            troubled = callOf(call);
            failures = 0;
            doubtedSince = undefined;
          }
          const failure = classify(error);
          const doubted = await isDoubted(failure, call, signal);
          const now = this.#clock.monotonic();
          doubtedSince = doubted ? (doubtedSince ?? now) : undefined;
          const triedForMs = now - (doubtedSince ?? now);
          const passes = failure === "throttled" || failure === "passing";
          if ((!passes && !doubted) || triedForMs >= DOUBTED_FOR_MS) {
            throw KcError.is(error) || isCallers(failure, call, doubted)
              ? error
              : callFailure({ ...call, target: this.#target(), triedForMs }, error);
          }
          failures += 1;
          await this.#pause(troubled, failures, error, signal);
        }
      }
    } finally {
      if (signal.aborted && troubled) this.#telemetry.troubles.dropped(troubled);
    }
  }

  async #pause(call: Call, failures: number, error: unknown, signal: AbortSignal): Promise<void> {
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
    await sleep(this.#clock, backoffMs(failures, BACKOFF, this.#random), signal);
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
  return failure === "denied" || failure === "unknown";
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
