import type { Clock } from "../clock.ts";

/** One caller's standing in the line. The line keeps it up to date. */
export class Caller {
  /** Its last call was late, or was given up. */
  late = false;
  /** Its last call was not answered at all. */
  silent = false;
}

/** What is reported to a call that is under way. */
export interface CallEvents {
  /** There was a sign of life. */
  readonly heard: () => void;
  /** The call is given up for others. */
  readonly givenUp: (error: Error) => void;
}

const NO_CALL: CallEvents = { heard: () => {}, givenUp: () => {} };

/** A caller's turn in the line: one call, or several that follow one another. */
export class Turn {
  /** How long each reply took to begin, in milliseconds. */
  readonly repliesMs: number[] = [];
  readonly #caller: Caller;
  readonly #clock: Clock;
  readonly #onLeave: (turn: Turn) => void;
  /** When it began, by the monotonic clock. */
  readonly since: number;
  /** When the service was called, or gave its last sign of life. */
  #heardAt: number;
  /** A call is under way, and nothing of its reply is here. */
  #unanswered = false;
  #left = false;
  #events = NO_CALL;
  /** Why it was given up. */
  #givenUp: Error | undefined;

  constructor(caller: Caller, clock: Clock, onLeave: (turn: Turn) => void) {
    this.#caller = caller;
    this.#clock = clock;
    this.#onLeave = onLeave;
    this.since = this.#heardAt = clock.monotonic();
  }

  /** Was the last call answered? */
  get answered(): boolean {
    return !this.#unanswered;
  }

  get tookMs(): number {
    return this.#clock.monotonic() - this.since;
  }

  /** A call begins. Between two calls, the turn may have been given up: this one is at once then. */
  called(events: CallEvents): void {
    this.#events = events;
    this.#heardAt = this.#clock.monotonic();
    this.#unanswered = true;
    if (this.#givenUp !== undefined) events.givenUp(this.#givenUp);
  }

  /** The service gave a sign of life: a reply began, went on, or is complete. */
  heard(): void {
    const now = this.#clock.monotonic();
    if (this.#unanswered) this.repliesMs.push(now - this.#heardAt);
    this.#unanswered = false;
    this.#heardAt = now;
    this.#events.heard();
  }

  /** The call is over: nothing more is reported to it. */
  ended(): void {
    this.#events = NO_CALL;
  }

  /** For how long the service has given no sign. */
  silentMs(now: number): number {
    return now - this.#heardAt;
  }

  /** @param patienceMs how long was waited for a sign of life */
  giveUp(patienceMs: number): void {
    if (this.#givenUp !== undefined) return;
    const error = new Error(
      `no reply within ${Math.round(patienceMs)} ms, and calls for other shards wait`,
    );
    error.name = "TimeoutError";
    this.#givenUp = error;
    this.#events.givenUp(error);
  }

  /** The place is free for the next one. Idempotent. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#onLeave(this);
  }

  /** Draws from the turn what it says of its caller. */
  judge(patienceMs: number): void {
    const silentMs = this.#unanswered ? this.silentMs(this.#clock.monotonic()) : 0;
    this.#caller.late =
      this.#givenUp !== undefined || Math.max(silentMs, ...this.repliesMs) >= patienceMs;
    this.#caller.silent = this.#unanswered;
  }
}
