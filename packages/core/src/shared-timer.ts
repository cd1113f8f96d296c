import TinyQueue from "tinyqueue";
import { setTimer, type Clock } from "./clock.ts";

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** Cancelled entries are not removed from the queue before they outnumber the others by this. */
const MIN_SWEPT = 64;

/** The waits of all shards of a scan behind one timer, so that a thousand shards need no thousand timers. */
export class SharedTimer {
  readonly #clock: Clock;
  #sleepers = queueOf([]);
  /** Cancelled entries that are still in the queue. */
  readonly #cancelled = new Set<Sleeper>();
  #armedFor = Infinity;
  #cancel: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Waits `ms` milliseconds, or until the signal aborts if that is sooner. It never rejects: the caller
   * checks the signal afterwards.
   */
  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || ms <= 0) return resolve();
      const onAbort = (): void => {
        cancel();
        resolve();
      };
      const cancel = this.after(ms, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Calls `wake` once after `ms` milliseconds. Returns an idempotent function that cancels it. */
  after(ms: number, wake: () => void): () => void {
    let isDone = false;
    const sleeper: Sleeper = {
      at: this.#clock.monotonic() + ms,
      wake: () => {
        isDone = true;
        wake();
      },
    };
    this.#sleepers.push(sleeper);
    this.#arm();
    return () => {
      if (isDone) return;
      isDone = true;
      this.#cancelled.add(sleeper);
      this.#sweep();
      this.#arm();
    };
  }

  /** Removes cancelled entries once they are most of the queue: they may not be due for hours. */
  #sweep(): void {
    const { data, length } = this.#sleepers;
    if (2 * this.#cancelled.size <= length + MIN_SWEPT) return;
    this.#sleepers = queueOf(data.filter((sleeper) => !this.#cancelled.has(sleeper)));
    this.#cancelled.clear();
  }

  #wakeDue(): void {
    this.#armedFor = Infinity;
    const now = this.#clock.monotonic();
    for (let next = this.#next(); next !== undefined && next.at <= now; next = this.#next()) {
      this.#sleepers.pop();
      next.wake();
    }
    this.#arm();
  }

  /** The next entry that was not cancelled. */
  #next(): Sleeper | undefined {
    for (;;) {
      const next = this.#sleepers.peek();
      if (next === undefined || !this.#cancelled.delete(next)) return next;
      this.#sleepers.pop();
    }
  }

  #arm(): void {
    const at = this.#next()?.at ?? Infinity;
    if (at === this.#armedFor) return;
    this.#cancel();
    this.#armedFor = at;
    this.#cancel = setTimer(this.#clock, () => this.#wakeDue(), at - this.#clock.monotonic());
  }
}

function queueOf(sleepers: Sleeper[]): TinyQueue<Sleeper> {
  return new TinyQueue(sleepers, (a, b) => a.at - b.at);
}
