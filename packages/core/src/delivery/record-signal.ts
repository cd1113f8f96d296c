import { setTimer, type Clock } from "../clock.ts";
import { LeaseLostError } from "../errors.ts";

export interface RecordSignalOptions {
  readonly shardId: string;
  /** Aborts when the shard is given up, whatever its handler is doing. */
  readonly abandon: AbortSignal;
  /** Milliseconds left of the lease; undefined = no lease. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
}

/**
 * `context.signal`: created for each record whose handler asks for it, so that listeners are left on a
 * signal that ends with the record. It aborts when the shard is given up, and at the end of the lease,
 * when another worker may start the same record.
 */
export class RecordSignal {
  readonly #options: RecordSignalOptions;
  #inHand = false;
  #controller: AbortController | undefined;
  #expired = false;
  #cancelTimer: (() => void) | undefined;
  #listens = false;
  readonly #onAbandon = (): void => {
    this.#controller?.abort(this.#options.abandon.reason);
    this.close();
  };

  constructor(options: RecordSignalOptions) {
    this.#options = options;
  }

  /** Of the record in hand; without one, the shard's. */
  get signal(): AbortSignal {
    const { abandon } = this.#options;
    if (!this.#inHand || abandon.aborted) return abandon;
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#listen();
      if (this.#cancelTimer === undefined) this.#watchLease();
    }
    return this.#controller.signal;
  }

  /** Did the signal of the record in hand abort because the lease ended? */
  get expired(): boolean {
    return this.#expired;
  }

  /** A record is handed over. Called for each: no allocation. */
  begin(): void {
    this.#inHand = true;
    this.#controller = undefined;
    this.#expired = false;
  }

  /** No record is in hand. */
  close(): void {
    this.#inHand = false;
    this.#controller = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#options.abandon.removeEventListener("abort", this.#onAbandon);
    this.#listens = false;
  }

  /** One listener for all records of a page, and none where no handler asks. */
  #listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    this.#options.abandon.addEventListener("abort", this.#onAbandon, { once: true });
  }

  /** One timer for all records of a page: it moves with the heartbeats. */
  #watchLease(): void {
    const { shardId, remainingMs, clock } = this.#options;
    this.#cancelTimer = undefined;
    if (remainingMs === undefined || this.#controller === undefined) return;
    const leftMs = remainingMs();
    if (leftMs > 0) {
      // Whole milliseconds: a timer may fire slightly early, and is then set again.
      this.#cancelTimer = setTimer(clock, () => this.#watchLease(), Math.ceil(leftMs));
      return;
    }
    this.#expired = true;
    const detail = "no heartbeat was acknowledged in time: another worker may read the shard";
    this.#controller.abort(new LeaseLostError(shardId, detail));
  }
}
