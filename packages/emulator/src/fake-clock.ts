import type { Clock } from "./clock.ts";
import { type Timer, TimerHeap } from "./timer-heap.ts";

/** Saved at import, so that a test framework's fake timers do not replace it. */
const realSetImmediate = globalThis.setImmediate;

/** Number of consecutive event loop turns without activity that count as "settled". */
const QUIET_TURNS = 5;
/** Number of event loop turns at one instant that prove a loop which never waits on the clock. */
const MAX_TURNS = 100_000;

/** Maximum delay of a Node timer. A longer one would fire after 1 ms, with a warning. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Thrown by `settle` and `advance` if work at one instant of virtual time never ends. */
export class UnsettledError extends Error {
  override readonly name = "UnsettledError";
}

/**
 * A virtual clock. Time moves only by `advance`, which runs every timer at its exact time, and lets the code that it
 * woke finish before the next timer.
 *
 * It waits for promises, `yield()`, `setImmediate` and calls of a `FakeKinesis`, but not for real I/O or real timers.
 * Code under it runs deterministically.
 */
export class FakeClock implements Clock {
  readonly #timers = new TimerHeap();
  #monotonic = 0;
  #wallOffset: number;
  #yielding = 0;
  #activity = 0;
  #advancing: Promise<void> = Promise.resolve();

  /** @param options.now the initial wall-clock time. Default 2026-01-01T00:00:00Z */
  constructor(options: { now?: number | Date } = {}) {
    this.#wallOffset = Number(options.now ?? Date.UTC(2026, 0, 1));
    if (!Number.isFinite(this.#wallOffset)) throw new RangeError("FakeClock: invalid 'now'");
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#wallOffset + this.#monotonic;
  }

  /** Milliseconds of virtual time since the clock was created. */
  monotonic(): number {
    return this.#monotonic;
  }

  /** @throws RangeError unless `ms` is from 0 to 2,147,483,647: Node would warn */
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

  /** Number of pending timers. If it is not 0 after everything was stopped, something leaks. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /**
   * Moves time forward by `ms` milliseconds, and runs the timers that become due in order, each at its own time.
   * Overlapping calls run one after another. Rejects with what a callback throws, or with an `UnsettledError`.
   */
  advance(ms: number): Promise<void> {
    if (!(ms >= 0 && Number.isFinite(ms))) {
      return Promise.reject(new RangeError(`FakeClock cannot advance by ${ms} ms`));
    }
    const turn = this.#advancing.then(() => this.#advance(this.#monotonic + ms));
    this.#advancing = turn.catch(() => {});
    return turn;
  }

  /** Runs everything that can run now. Timers that are due now wait for `advance(0)`. */
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

  /** Moves only the wall clock, forwards or backwards. No timer runs. */
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

  /** The first timer that is due at or before `target`, in order of due time and then of creation. */
  #next(target: number): Timer | undefined {
    const { first } = this.#timers;
    return first !== undefined && first.due <= target ? first : undefined;
  }
}
