import type { Clock } from "./clock.ts";
import { type Timer, TimerHeap } from "./timer-heap.ts";

/** Taken at import, so that a test framework's fake timers do not reach it. */
const realSetImmediate = globalThis.setImmediate;

/** Turns of the event loop in a row without activity that count as "settled". */
const QUIET_TURNS = 5;
/** Turns at one instant after which something must be looping without ever waiting. */
const MAX_TURNS = 100_000;

/** Node's longest timer: it fires a longer one after a millisecond, with a warning. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Thrown by `settle` and `advance` when work goes on for ever at one instant of virtual time. */
export class UnsettledError extends Error {
  override readonly name = "UnsettledError";
}

/**
 * A virtual clock. Time moves only by `advance`, which runs every timer at its exact instant and
 * lets the code that it woke finish before the next one.
 *
 * It can wait for promises, `yield()`, `setImmediate` and calls of a `FakeKinesis`; not for real
 * I/O nor for real timers. What runs under it is deterministic.
 */
export class FakeClock implements Clock {
  readonly #timers = new TimerHeap();
  #monotonic = 0;
  #wallOffset: number;
  #yielding = 0;
  #activity = 0;
  #advancing: Promise<void> = Promise.resolve();

  /** @param options.now the wall clock's start; default 2026-01-01T00:00:00Z */
  constructor(options: { now?: number | Date } = {}) {
    this.#wallOffset = Number(options.now ?? Date.UTC(2026, 0, 1));
    if (!Number.isFinite(this.#wallOffset)) throw new RangeError("FakeClock: invalid 'now'");
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  /** Milliseconds since the clock's construction. */
  monotonic(): number {
    return this.#monotonic;
  }

  /** Throws RangeError for what Node warns of: `ms` is from 0 to 2,147,483,647. */
  setTimer(callback: () => void, ms: number): () => void {
    if (!(ms >= 0 && ms <= MAX_TIMER_MS)) {
      throw new RangeError(`FakeClock sets timers of 0 to ${MAX_TIMER_MS} ms, not of ${ms} ms`);
    }
    const timer = this.#timers.add(this.#monotonic + ms, callback);
    this.#activity++;
    return () => this.#timers.remove(timer);
  }

  yield(): Promise<void> {
    this.#yielding++;
    return new Promise((resolve) => {
      realSetImmediate(() => {
        this.#yielding--;
        this.#activity++;
        resolve();
      });
    });
  }

  /** How many timers are set: zero once everything was stopped, or something leaks. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /**
   * Moves time forward by `ms`, running the timers that become due in order, each at its own
   * instant. Overlapping calls follow one another. Rejects with what a callback throws, or with an
   * `UnsettledError`.
   */
  advance(ms: number): Promise<void> {
    if (!(ms >= 0 && Number.isFinite(ms))) {
      return Promise.reject(new RangeError(`FakeClock cannot advance by ${ms} ms`));
    }
    const turn = this.#advancing.then(() => this.#advance(this.#monotonic + ms));
    this.#advancing = turn.catch(() => {});
    return turn;
  }

  /** Lets everything that can run at this instant run. Timers due now wait for `advance(0)`. */
  async settle(): Promise<void> {
    let quiet = 0;
    for (let turns = 0; quiet < QUIET_TURNS; turns++) {
      if (turns === MAX_TURNS) {
        throw new UnsettledError(
          `something still runs after ${MAX_TURNS} turns of the event loop at one instant: ` +
            "it loops without waiting on the clock",
        );
      }
      const before = this.#activity;
      await new Promise<void>((resolve) => void realSetImmediate(resolve));
      quiet = this.#activity === before && this.#yielding === 0 ? quiet + 1 : 0;
    }
  }

  /** Moves the wall clock alone, forwards or backwards; no timer runs. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  async #advance(target: number): Promise<void> {
    await this.settle();
    for (let timer = this.#next(target); timer !== undefined; timer = this.#next(target)) {
      this.#timers.remove(timer);
      this.#monotonic = Math.max(this.#monotonic, timer.due);
      timer.callback();
      await this.settle();
    }
    this.#monotonic = target;
    await this.settle();
  }

  /** The earliest timer due at or before `target`; of equals, the one set first. */
  #next(target: number): Timer | undefined {
    const { first } = this.#timers;
    return first !== undefined && first.due <= target ? first : undefined;
  }
}
