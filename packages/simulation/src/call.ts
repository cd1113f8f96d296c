import { KcError, NonRetriableError, RetryAfterError } from "@kc/core";
import type { Process } from "./process.ts";
import type { PutRecord } from "./puts.ts";

/** How a call has ended for one of its records. */
export type Outcome =
  | { readonly kind: "done" }
  /** It is tried again after so long, or given up. */
  | { readonly kind: "failed"; readonly isFinal: boolean; readonly afterMs: number }
  /** It comes again, without having failed. */
  | { readonly kind: "interrupted" }
  /** Done or interrupted: the lease and the time of the handler were over together. */
  | { readonly kind: "unknown" };

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
}

/** A call of the handler that is under way. */
export class Call {
  readonly workerId: string;
  readonly records: readonly PutRecord[];
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #options: CallOptions;
  readonly #startedAt: number;

  constructor(options: CallOptions) {
    this.workerId = options.workerId;
    this.records = options.records;
    this.attempt = options.attempt;
    this.signal = options.signal;
    this.#options = options;
    this.#startedAt = options.process.monotonic();
  }

  get isZombie(): boolean {
    return this.#options.isZombie();
  }

  /** Has it taken too long, and does nobody wait for it any more? */
  get isOverdue(): boolean {
    const { timeoutMs = Infinity, drainTimeoutMs } = this.#options;
    return this.#isTimedOut && this.#forMs >= timeoutMs + drainTimeoutMs - 1;
  }

  /** What its handler returns or throws now means for its records. */
  outcome(thrown: { readonly error: unknown } | undefined): Outcome {
    const { timeoutMs = Infinity } = this.#options;
    if (this.#isTimedOut) return { kind: "failed", isFinal: false, afterMs: 0 };
    if (thrown === undefined) {
      const isOver = isLeaseLost(this.signal) && this.#forMs >= timeoutMs - 10;
      return { kind: isOver ? "unknown" : "done" };
    }
    if (this.signal.aborted) return { kind: "interrupted" };
    const { error } = thrown;
    return {
      kind: "failed",
      isFinal: NonRetriableError.is(error),
      afterMs: RetryAfterError.is(error) ? error.delayMs : 0,
    };
  }

  get #forMs(): number {
    return this.#options.process.monotonic() - this.#startedAt;
  }

  get #isTimedOut(): boolean {
    const { aborted, reason } = this.signal;
    return aborted && reason instanceof Error && reason.name === "HandlerTimeoutError";
  }
}

function isLeaseLost({ aborted, reason }: AbortSignal): boolean {
  return aborted && KcError.is(reason) && reason.code === "LEASE_LOST";
}
