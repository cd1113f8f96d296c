import { setTimer, type Clock } from "../clock.ts";
import { LeaseLostError } from "../errors.ts";

export interface RecordSignalOptions {
  readonly shardId: string;
  /** Aborts when the shard is given up, whatever its handlers are doing. */
  readonly abandon: AbortSignal;
  /** Milliseconds left of the lease; undefined = no lease. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
}

/**
 * The signals of all records of one shard that are in hand: one listener and one timer for all of them,
 * and none where no handler asks for its signal.
 */
export class RecordSignals {
  readonly #options: RecordSignalOptions;
  /** Those that were asked for. */
  readonly #asked = new Set<RecordSignal>();
  #cancelTimer: (() => void) | undefined;
  #listens = false;
  readonly #onAbandon = (): void => {
    for (const record of this.#asked) record.abort(this.#options.abandon.reason);
    this.close();
  };

  constructor(options: RecordSignalOptions) {
    this.#options = options;
  }

  /** The shard's own. */
  get abandon(): AbortSignal {
    return this.#options.abandon;
  }

  /** A handler has asked for its signal. */
  watch(record: RecordSignal): void {
    this.#asked.add(record);
    if (!this.#listens) {
      this.#listens = true;
      this.#options.abandon.addEventListener("abort", this.#onAbandon, { once: true });
    }
    if (this.#cancelTimer === undefined) this.#watchLease();
  }

  /** The record is no longer in hand. */
  forget(record: RecordSignal): void {
    this.#asked.delete(record);
  }

  /** No record is in hand. It may be used again. */
  close(): void {
    if (!this.#listens) return;
    this.#asked.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#options.abandon.removeEventListener("abort", this.#onAbandon);
    this.#listens = false;
  }

  /** One timer for all records of a page: it moves with the heartbeats. */
  #watchLease(): void {
    const { shardId, remainingMs, clock } = this.#options;
    this.#cancelTimer = undefined;
    if (remainingMs === undefined || this.#asked.size === 0) return;
    const leftMs = remainingMs();
    if (leftMs > 0) {
      // Whole milliseconds: a timer may fire slightly early, and is then set again.
      this.#cancelTimer = setTimer(clock, () => this.#watchLease(), Math.ceil(leftMs));
      return;
    }
    const detail = "no heartbeat was acknowledged in time: another worker may read the shard";
    for (const record of this.#asked) record.expire(new LeaseLostError(shardId, detail));
  }
}

/**
 * `context.signal`: created for each record whose handler asks for it, so that listeners are left on a
 * signal that ends with the record. It aborts when the shard is given up, at the end of the lease, when
 * another worker may start the same record, and when the handler has taken too long.
 */
export class RecordSignal {
  readonly #signals: RecordSignals;
  #inHand = false;
  #controller: AbortController | undefined;
  #expired = false;
  /** What it aborts with, if the handler asks for it later. */
  #aborted: { readonly reason: unknown } | undefined;

  constructor(signals: RecordSignals) {
    this.#signals = signals;
  }

  /** Of the record in hand; without one, the shard's. */
  get signal(): AbortSignal {
    const { abandon } = this.#signals;
    if (!this.#inHand || abandon.aborted) return abandon;
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted === undefined) this.#signals.watch(this);
      else this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  /** Did the signal of the record in hand abort because the lease ended? */
  get expired(): boolean {
    return this.#expired;
  }

  /** A record is handed over. Called for each: no allocation. */
  begin(): void {
    if (this.#controller !== undefined) this.#signals.forget(this);
    this.#inHand = true;
    this.#controller = undefined;
    this.#expired = false;
    this.#aborted = undefined;
  }

  /** The record in hand is over, and no other follows for now. */
  end(): void {
    if (this.#controller !== undefined) this.#signals.forget(this);
    this.#inHand = false;
    this.#controller = undefined;
  }

  /** The record in hand is given up, whether its handler has asked for its signal or not. */
  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** The lease has ended. */
  expire(error: LeaseLostError): void {
    this.#expired = true;
    this.abort(error);
  }
}
