import type { Clock } from "../clock.ts";
import { CallPermit, type Caller } from "./call-permit.ts";

/** A reply is never late before this time. */
const MIN_PATIENCE_MS = 250;
/** A reply is late once it takes this many times as long as the average. */
const PATIENCE_FACTOR = 8;
/** The weight of one call in the moving averages. */
const WEIGHT = 1 / 16;
/** The averages before the first replies. */
const INITIAL_REPLY_MS = 100;
const INITIAL_HELD_MS = 25;

/** How many calls may be in flight. */
export interface SemaphoreSize {
  readonly regular: number;
  /** For late calls, and for callers whose last call was late; 0 = no call counts as late. */
  readonly late: number;
}

/** Grants a permit to a waiter. */
type Grant = () => void;

/**
 * The permits in use, and the waiters. They are arrays: a Set that shrinks links its old table to the new
 * one, which keeps all calls in memory until the old generation is collected.
 */
interface Pool {
  readonly size: number;
  /** In the order in which they were granted. */
  readonly permits: CallPermit[];
  /** Each is first in, first out. Earlier queues have priority. */
  readonly queues: readonly Grant[][];
}

/**
 * Limits the number of calls in flight.
 *
 * Calls that hang must not block the others. While callers wait, a call that takes much longer than usual
 * moves to the small pool for late calls; if that pool is full, the call is aborted. Its caller uses the
 * late pool until one of its replies is in time. A reply that is being received is not late.
 */
export class CallSemaphore {
  readonly #clock: Clock;
  /** Waiters for a regular permit. */
  readonly #waiting: Grant[] = [];
  /** Waiters for a late permit whose last call got a slow reply. They go before the silent ones. */
  readonly #slow: Grant[] = [];
  /** Waiters for a late permit whose last call got no reply. */
  readonly #silent: Grant[] = [];
  readonly #regular: Pool;
  readonly #late: Pool;
  /** The average time until a reply begins. */
  #replyMs = INITIAL_REPLY_MS;
  /** The average time for which a permit is held. */
  #heldMs = INITIAL_HELD_MS;
  /** When an outlier last entered the average. */
  #outlierAt = -Infinity;
  #waitMs = 0;
  #cancelWatch: (() => void) | undefined;

  constructor(clock: Clock, size: SemaphoreSize) {
    this.#clock = clock;
    this.#regular = { size: size.regular, permits: [], queues: [this.#waiting] };
    this.#late = { size: size.late, permits: [], queues: [this.#slow, this.#silent] };
  }

  /** How many regular permits can be granted per second, by the average time for which they are held. */
  get permitsPerSecond(): number {
    return (this.#regular.size * 1000) / Math.max(1, this.#heldMs);
  }

  /** The average wait for a regular permit, in milliseconds. */
  get waitMs(): number {
    return this.#waitMs;
  }

  /** Waits for a permit. The caller must release it. @throws the signal's reason, immediately */
  async acquire(caller: Caller, signal: AbortSignal): Promise<CallPermit> {
    signal.throwIfAborted();
    const pool = caller.late && this.#late.size > 0 ? this.#late : this.#regular;
    // No caller waits while there are free permits.
    return pool.permits.length < pool.size
      ? this.#grant(pool, caller, 0)
      : this.#wait(pool, caller, signal);
  }

  #grant(pool: Pool, caller: Caller, waitedMs: number): CallPermit {
    const permit = new CallPermit(caller, this.#clock, (released) => this.#release(released));
    if (pool === this.#regular) this.#waitMs += (waitedMs - this.#waitMs) * WEIGHT;
    pool.permits.push(permit);
    return permit;
  }

  #wait(pool: Pool, caller: Caller, signal: AbortSignal): Promise<CallPermit> {
    const queue =
      pool === this.#regular ? this.#waiting : caller.silent ? this.#silent : this.#slow;
    const since = this.#clock.monotonic();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        remove(queue, grant);
        this.#watch();
        reject(signal.reason);
      };
      const grant = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(this.#grant(pool, caller, this.#clock.monotonic() - since));
      };
      queue.push(grant);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#watch();
    });
  }

  get #patienceMs(): number {
    return Math.max(MIN_PATIENCE_MS, PATIENCE_FACTOR * this.#replyMs);
  }

  #grantWaiting(): void {
    grantFree(this.#regular);
    grantFree(this.#late);
    this.#watch();
  }

  #release(permit: CallPermit): void {
    permit.updateCaller(this.#patienceMs);
    for (const ms of permit.replyLatenciesMs) this.#replyMs += (ms - this.#replyMs) * WEIGHT;
    const wasRegular = remove(this.#regular.permits, permit);
    if (!wasRegular) remove(this.#late.permits, permit);
    else if (permit.answered) this.#updateAverage(permit);
    this.#grantWaiting();
  }

  /**
   * A network or process that froze says nothing about the usual pace. A permit counts as at most twice the
   * average, and of the permits that were held during one freeze only one counts.
   */
  #updateAverage({ since, heldMs }: CallPermit): void {
    const excess = heldMs - this.#heldMs;
    if (excess > this.#heldMs) {
      if (since < this.#outlierAt) return;
      this.#outlierAt = this.#clock.monotonic();
    }
    this.#heldMs += Math.min(excess, this.#heldMs) * WEIGHT;
  }

  /** While callers wait, sets a timer for the moment when the first call in flight becomes late. */
  #watch(): void {
    if (this.#waiting.length === 0 || this.#late.size === 0) {
      this.#cancelWatch?.();
      this.#cancelWatch = undefined;
      return;
    }
    if (this.#cancelWatch !== undefined) return;
    const now = this.#clock.monotonic();
    const longest = Math.max(...this.#regular.permits.map((permit) => permit.silentMs(now)));
    this.#cancelWatch = this.#clock.setTimer(
      () => {
        this.#cancelWatch = undefined;
        // A handler that blocked the event loop has delayed replies too: they are read first.
        void this.#clock.yield().then(() => this.#evictLate());
      },
      Math.max(1, this.#patienceMs - longest),
    );
  }

  #evictLate(): void {
    const now = this.#clock.monotonic();
    const patienceMs = this.#patienceMs;
    let wanted = this.#waiting.length;
    for (const permit of this.#regular.permits.slice()) {
      if (wanted === 0) break;
      if (permit.silentMs(now) < patienceMs) continue;
      wanted -= 1;
      if (this.#late.permits.length < this.#late.size) {
        remove(this.#regular.permits, permit);
        this.#late.permits.push(permit);
        this.#grantWaiting();
      } else {
        permit.abort(patienceMs);
      }
    }
    this.#watch();
  }
}

/** Grants the free permits of a pool to its waiters. */
function grantFree({ size, permits, queues }: Pool): void {
  for (const queue of queues) {
    while (permits.length < size && queue.length > 0) queue.shift()!();
  }
}

/** Returns false if the list does not contain the element. */
function remove<T>(list: T[], one: T): boolean {
  const index = list.indexOf(one);
  if (index >= 0) list.splice(index, 1);
  return index >= 0;
}
