import { KcError, NonRetriableError, RetryAfterError } from "@kc/core";
import type { Process } from "./process.ts";
import type { PutRecord } from "./puts.ts";

/** The outcome of a call for one of its records. */
export type Outcome =
  | { readonly kind: "done" }
  | FailedOutcome
  /** It is delivered again, without having failed. */
  | { readonly kind: "interrupted" }
  /** Done or interrupted: the lease and the handler's timeout ended at the same time. */
  | { readonly kind: "unknown" };

export interface FailedOutcome {
  readonly kind: "failed";
  /** It must not be retried. */
  readonly isFinal: boolean;
  /** The handler reported this record, so its batch is not halved. */
  readonly isNamed: boolean;
  /** It timed out; if its lease has also ended since, it was not an attempt. */
  readonly isTimedOut: boolean;
  /** The earliest time of another attempt, by its process's clock. */
  readonly notBefore: number;
}

export interface CallOptions {
  readonly workerId: string;
  readonly process: Process;
  readonly records: readonly PutRecord[];
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** Whether its worker is dead, frozen, or past its own deadline. */
  readonly isZombie: () => boolean;
  /** `undefined` if there is no time limit. */
  readonly timeoutMs: number | undefined;
  /** How long the delivery waits for it after that. */
  readonly drainTimeoutMs: number;
  /** The minimum delay before another attempt. */
  readonly minDelayMs: number;
}

/** A running call of the handler. */
export class Call {
  readonly workerId: string;
  readonly records: readonly PutRecord[];
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #options: CallOptions;
  /** By its process's clock. */
  readonly startedAt: number;

  constructor(options: CallOptions) {
    this.workerId = options.workerId;
    this.records = options.records;
    this.attempt = options.attempt;
    this.signal = options.signal;
    this.#options = options;
    this.startedAt = options.process.monotonic();
  }

  get isZombie(): boolean {
    return this.#options.isZombie();
  }

  /** Whether it has timed out, and the delivery no longer waits for it. */
  get isOverdue(): boolean {
    const { timeoutMs = Infinity, drainTimeoutMs } = this.#options;
    return this.#forMs >= timeoutMs + drainTimeoutMs - 1;
  }

  /** The outcome for its records if the handler returns or throws now. */
  outcome(thrown: { readonly error: unknown } | undefined): Outcome {
    const { timeoutMs = Infinity } = this.#options;
    if (this.#isTimedOut || this.isOverdue) return this.failed();
    if (thrown === undefined) {
      const isOver = isLeaseLost(this.signal) && this.#forMs >= timeoutMs - 10;
      return { kind: isOver ? "unknown" : "done" };
    }
    if (this.signal.aborted) return { kind: "interrupted" };
    const { error } = thrown;
    return this.failed(
      NonRetriableError.is(error),
      RetryAfterError.is(error) ? error.delayMs : undefined,
    );
  }

  /** The outcome of a failure at this moment. @param afterMs the delay that the handler requests */
  failed(isFinal = false, afterMs = this.#options.minDelayMs): FailedOutcome {
    // Timers may fire slightly early.
    const isTimedOut = this.#isTimedOut || this.isOverdue;
    const notBefore = this.#options.process.monotonic() + afterMs - 1;
    return { kind: "failed", isFinal, isNamed: false, isTimedOut, notBefore };
  }

  get #forMs(): number {
    return this.#options.process.monotonic() - this.startedAt;
  }

  get #isTimedOut(): boolean {
    const { aborted, reason } = this.signal;
    return aborted && reason instanceof Error && reason.name === "HandlerTimeoutError";
  }
}

function isLeaseLost({ aborted, reason }: AbortSignal): boolean {
  return aborted && KcError.is(reason) && reason.code === "LEASE_LOST";
}
