import TinyQueue from "tinyqueue";
import { setTimer, type Clock } from "./clock.ts";

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** So many that were cancelled are not worth it. */
const LEAST_SWEPT = 64;

/** The waits of all shards of a scan, behind one timer: a thousand shards set no thousand timers. */
export class SharedTimer {
  readonly #clock: Clock;
  #sleepers = queueOf([]);
  /** Those that were cancelled, and are still in the queue. */
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

  /** Calls `wake` once, after `ms` milliseconds. Returns what cancels it, which is idempotent. */
  after(ms: number, wake: () => void): () => void {
    let isOver = false;
    const sleeper: Sleeper = {
      at: this.#clock.monotonic() + ms,
      wake: () => {
        isOver = true;
        wake();
      },
    };
    this.#sleepers.push(sleeper);
    this.#arm();
    return () => {
      if (isOver) return;
      isOver = true;
      this.#cancelled.add(sleeper);
      this.#sweep();
      this.#arm();
    };
  }

  /** Those that were cancelled leave once they are most of the queue: they may be due in hours. */
  #sweep(): void {
    const { data, length } = this.#sleepers;
    if (2 * this.#cancelled.size <= length + LEAST_SWEPT) return;
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

  /** The next who still sleeps. */
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
