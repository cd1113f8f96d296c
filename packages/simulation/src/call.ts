import { KcError, NonRetriableError, RetryAfterError } from "@kc/core";
import type { Process } from "./process.ts";
import type { PutRecord } from "./puts.ts";

/** How a call has ended for one of its records. */
export type Outcome =
  | { readonly kind: "done" }
  | FailedOutcome
  /** It comes again, without having failed. */
  | { readonly kind: "interrupted" }
  /** Done or interrupted: the lease and the time of the handler were over together. */
  | { readonly kind: "unknown" };

export interface FailedOutcome {
  readonly kind: "failed";
  /** No other attempt makes sense. */
  readonly isFinal: boolean;
  /** The answer names the record: its batch is not halved. */
  readonly isNamed: boolean;
  /** It took too long; its lease may have ended too since, and then it was no attempt. */
  readonly isTimedOut: boolean;
  /** No other attempt before then, by its process's clock. */
  readonly notBefore: number;
}

export interface CallOptions {
  readonly workerId: string;
  readonly process: Process;
  readonly records: readonly PutRecord[];
  /** 1 = the first. */
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** Is its worker dead, frozen, or past its own deadline? */
  readonly isZombie: () => boolean;
  /** Undefined = it may take as long as it likes. */
  readonly timeoutMs: number | undefined;
  /** How long it is waited for after that. */
  readonly drainTimeoutMs: number;
  /** The least wait for another attempt. */
  readonly minDelayMs: number;
}

/** A call of the handler that is under way. */
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

  /** Has it taken too long, and does nobody wait for it any more? */
  get isOverdue(): boolean {
    const { timeoutMs = Infinity, drainTimeoutMs } = this.#options;
    return this.#forMs >= timeoutMs + drainTimeoutMs - 1;
  }

  /** What its handler returns or throws now means for its records. */
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

  /** It has failed just now. @param afterMs the delay that its handler asks for */
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
