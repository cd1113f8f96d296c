import type { Clock } from "../clock.ts";

/** How the calls of one caller went lately. The semaphore updates it when a permit is released. */
export class Caller {
  /** The last call was late, or was aborted because it was. */
  late = false;
  /** The last call got no reply at all. */
  silent = false;
}

/** Callbacks of a call in flight. */
export interface CallEvents {
  /** Called when part of the reply arrives. */
  readonly onActivity: () => void;
  /** Called when the call must end because other calls need its permit. */
  readonly onAbort: (error: Error) => void;
}

const NO_CALL: CallEvents = { onActivity: () => {}, onAbort: () => {} };

/** A permit of the semaphore. It covers one call, or several calls in sequence. */
export class CallPermit {
  /** The time from each call to the start of its reply, in milliseconds. */
  readonly replyLatenciesMs: number[] = [];
  readonly #caller: Caller;
  readonly #clock: Clock;
  readonly #onRelease: (permit: CallPermit) => void;
  /** When the permit was granted, by the monotonic clock. */
  readonly since: number;
  /** When the call began, or when data last arrived. */
  #lastActivity: number;
  /** A call is in flight, and no part of its reply has arrived. */
  #unanswered = false;
  #released = false;
  #events = NO_CALL;
  /** Set once the permit was aborted. */
  #abortError: Error | undefined;

  constructor(caller: Caller, clock: Clock, onRelease: (permit: CallPermit) => void) {
    this.#caller = caller;
    this.#clock = clock;
    this.#onRelease = onRelease;
    this.since = this.#lastActivity = clock.monotonic();
  }

  /** Whether the reply to the last call has begun. */
  get answered(): boolean {
    return !this.#unanswered;
  }

  get heldMs(): number {
    return this.#clock.monotonic() - this.since;
  }

  /** Starts a call. If the permit was aborted between two calls, this call is aborted immediately. */
  beginCall(events: CallEvents): void {
    this.#events = events;
    this.#lastActivity = this.#clock.monotonic();
    this.#unanswered = true;
    if (this.#abortError !== undefined) events.onAbort(this.#abortError);
  }

  /** Reports that a reply began, continued, or is complete. */
  activity(): void {
    const now = this.#clock.monotonic();
    if (this.#unanswered) this.replyLatenciesMs.push(now - this.#lastActivity);
    this.#unanswered = false;
    this.#lastActivity = now;
    this.#events.onActivity();
  }

  /** Ends the call: its callbacks are not called any more. */
  endCall(): void {
    this.#events = NO_CALL;
  }

  /** The time since data last arrived, in milliseconds. */
  silentMs(now: number): number {
    return now - this.#lastActivity;
  }

  /** @param patienceMs how long the semaphore waited for data */
  abort(patienceMs: number): void {
    if (this.#abortError !== undefined) return;
    const error = new Error(
      `no reply within ${Math.round(patienceMs)} ms, and calls for other shards wait`,
    );
    error.name = "TimeoutError";
    this.#abortError = error;
    this.#events.onAbort(error);
  }

  /** Returns the permit to the semaphore. Idempotent. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#onRelease(this);
  }

  /** Updates the caller by what happened under this permit. */
  updateCaller(patienceMs: number): void {
    const silentMs = this.#unanswered ? this.silentMs(this.#clock.monotonic()) : 0;
    this.#caller.late =
      this.#abortError !== undefined || Math.max(silentMs, ...this.replyLatenciesMs) >= patienceMs;
    this.#caller.silent = this.#unanswered;
  }
}
