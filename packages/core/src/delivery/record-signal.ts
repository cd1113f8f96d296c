import { setTimer, type Clock } from "../clock.ts";
import { LeaseLostError } from "../errors.ts";

export interface RecordSignalOptions {
  readonly shardId: string;
  /** Aborts when the shard is abandoned, even while its handlers are running. */
  readonly abandon: AbortSignal;
  /** How long the lease lasts, in milliseconds; undefined = no lease. */
  readonly remainingMs: (() => number) | undefined;
  readonly clock: Clock;
}

/**
 * The signals of the records of one shard that are being handled: one listener and one timer for all of
 * them, and none if no handler asks for its signal.
 */
export class RecordSignals {
  readonly #options: RecordSignalOptions;
  /** The signals that handlers have asked for. */
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

  /** The shard's own signal. */
  get abandon(): AbortSignal {
    return this.#options.abandon;
  }

  /** Watches the signal that a handler has asked for. */
  watch(record: RecordSignal): void {
    this.#asked.add(record);
    if (!this.#listens) {
      this.#listens = true;
      this.#options.abandon.addEventListener("abort", this.#onAbandon, { once: true });
    }
    if (this.#cancelTimer === undefined) this.#watchLease();
  }

  /** Stops watching a signal: its record is no longer being handled. */
  forget(record: RecordSignal): void {
    this.#asked.delete(record);
  }

  /** Removes the listener and the timer. The object may be used again. */
  close(): void {
    if (!this.#listens) return;
    this.#asked.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#options.abandon.removeEventListener("abort", this.#onAbandon);
    this.#listens = false;
  }

  /** Sets one timer for all signals. Heartbeats extend the lease, so it may have to be set again. */
  #watchLease(): void {
    const { shardId, remainingMs, clock } = this.#options;
    this.#cancelTimer = undefined;
    if (remainingMs === undefined || this.#asked.size === 0) return;
    const leftMs = remainingMs();
    if (leftMs > 0) {
      // Rounded up to whole milliseconds: a timer may fire slightly early and is then set again.
      this.#cancelTimer = setTimer(clock, () => this.#watchLease(), Math.ceil(leftMs));
      return;
    }
    const detail = "no heartbeat was acknowledged in time: another worker may read the shard";
    for (const record of this.#asked) record.expire(new LeaseLostError(shardId, detail));
  }
}

/**
 * `context.signal`, created for each record whose handler asks for it: listeners that a handler leaves on
 * it are collected with the record. It aborts when the shard is abandoned, when the lease ends, since
 * another worker may then start the same record, and when the handler times out.
 */
export class RecordSignal {
  readonly #signals: RecordSignals;
  #isActive = false;
  #controller: AbortController | undefined;
  #expired = false;
  /** The reason of an abort before the handler has asked for the signal. */
  #aborted: { readonly reason: unknown } | undefined;

  constructor(signals: RecordSignals) {
    this.#signals = signals;
  }

  /** The signal of the record that is being handled; the shard's if none is. */
  get signal(): AbortSignal {
    const { abandon } = this.#signals;
    if (!this.#isActive || abandon.aborted) return abandon;
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted === undefined) this.#signals.watch(this);
      else this.#controller.abort(this.#aborted.reason);
    }
    return this.#controller.signal;
  }

  /** Whether the signal of the current record aborted because the lease ended. */
  get expired(): boolean {
    return this.#expired;
  }

  /** A record is passed to the handler. Called for each record: allocates nothing. */
  begin(): void {
    if (this.#controller !== undefined) this.#signals.forget(this);
    this.#isActive = true;
    this.#controller = undefined;
    this.#expired = false;
    this.#aborted = undefined;
  }

  /** The handler has finished the record, and no other follows for now. */
  end(): void {
    if (this.#controller !== undefined) this.#signals.forget(this);
    this.#isActive = false;
    this.#controller = undefined;
  }

  /** Aborts the signal of the current record, also if its handler asks for it only later. */
  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** Aborts the signal of the current record because the lease has ended. */
  expire(error: LeaseLostError): void {
    this.#expired = true;
    this.abort(error);
  }
}
