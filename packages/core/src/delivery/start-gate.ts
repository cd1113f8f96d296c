import { sleep } from "../clock.ts";
import type { PauseReason } from "../telemetry/events.ts";
import type { DeliveredShard } from "./delivery.ts";
import type { HandledMetrics } from "./handled-metrics.ts";

/**
 * At most this many synchronously handled records start between two readings of the clock. It is not read
 * for each record: reading it costs ten times as much as the other checks.
 */
const RECORDS_PER_CHECK = 16;
/** How long a shard may run without yielding the event loop to timers and other shards. */
const TURN_MS = 10;
/** How often a lease that was not renewed in time is checked. */
const LEASE_CHECK_MS = 50;

/**
 * Decides before each start of a record, retries included, whether it must wait: for a renewed lease, for
 * the store to catch up with finished work, for the user to resume the shard, or for this shard's turn of
 * the event loop. The caller checks for a stop.
 */
export class StartGate {
  readonly #shard: DeliveredShard;
  readonly #metrics: HandledMetrics;
  /** Records started since the clock was last read. */
  #started = 0;
  /** How many may start before it is read again. */
  #startsPerCheck = 0;
  #checkedAt: number;
  #turnBegan: number;
  #pausedBy: PauseReason | undefined;

  constructor(shard: DeliveredShard, metrics: HandledMetrics) {
    this.#shard = shard;
    this.#metrics = metrics;
    this.#turnBegan = this.#checkedAt = shard.clock.monotonic();
  }

  /** When the clock was last read: the monotonic time it showed. */
  get checkedAt(): number {
    return this.#checkedAt;
  }

  /** What records wait for; undefined = nothing. */
  get pausedBy(): PauseReason | undefined {
    return this.#pausedBy;
  }

  /**
   * Returns undefined if a record may start now, else a promise that resolves when it may.
   * @param checkClock reads the clock in any case: an answer was awaited, or a page begins
   */
  ask(checkClock: boolean): Promise<void> | undefined {
    const isDue = checkClock || this.#started >= this.#startsPerCheck || this.#shard.pauses.any;
    const wait = isDue ? this.#check() : undefined;
    this.#started += 1;
    return wait;
  }

  /** Writes all finished work to the store. No record may start before that. @throws KcError of the store */
  async untilWritten(): Promise<void> {
    const { clock, progress } = this.#shard;
    const since = clock.monotonic();
    this.#pausedBy = "store";
    try {
      await progress.flush();
    } finally {
      this.#pausedBy = undefined;
      this.#checkedAt = clock.monotonic();
    }
    this.#metrics.pause(this.#checkedAt - since);
  }

  #check(): Promise<void> | undefined {
    const { clock } = this.#shard;
    const now = clock.monotonic();
    const hasTurnEnded = now - this.#turnBegan > TURN_MS;
    // The number of records that fit into the rest of the turn, estimated from the last ones.
    const recordMs = this.#started > 0 ? (now - this.#checkedAt) / this.#started : Infinity;
    const leftMs = hasTurnEnded ? TURN_MS : TURN_MS - (now - this.#turnBegan);
    const startsLeft = Math.max(1, Math.floor(leftMs / recordMs) || 0);
    this.#startsPerCheck = Math.min(RECORDS_PER_CHECK, startsLeft);
    this.#started = 0;
    this.#checkedAt = now;
    this.#metrics.reportIfDue(now);
    return hasTurnEnded || this.#reason(now) !== undefined ? this.#wait() : undefined;
  }

  /** What a record would have to wait for now; undefined if nothing. */
  #reason(now: number): PauseReason | undefined {
    const { shardId, progress, pauses, remainingMs } = this.#shard;
    if (progress.overdue(now)) return "store";
    if (pauses.holds(shardId)) return "user";
    return remainingMs !== undefined && remainingMs() <= 0 ? "lease" : undefined;
  }

  async #wait(): Promise<void> {
    const { clock, turns, stop } = this.#shard;
    const since = clock.monotonic();
    await turns.next();
    for (;;) {
      // During one wait another reason may arise: the lease ends, the user pauses the shard.
      const reason = this.#reason(clock.monotonic());
      if (reason === undefined) break;
      await this.#pause(reason);
      if (stop.aborted) break;
    }
    this.#turnBegan = this.#checkedAt = clock.monotonic();
    this.#metrics.pause(this.#turnBegan - since);
  }

  async #pause(waitingFor: PauseReason): Promise<void> {
    const { shardId, telemetry } = this.#shard;
    this.#pausedBy = waitingFor;
    telemetry.emit({ kind: "shard-paused", shardId, waitingFor });
    await this.#until(waitingFor);
    this.#pausedBy = undefined;
    telemetry.emit({ kind: "shard-resumed", shardId });
  }

  #until(waitingFor: PauseReason): Promise<void> {
    const { shardId, pauses, stop } = this.#shard;
    if (waitingFor === "store") return this.#untilFlushed();
    return waitingFor === "user" ? pauses.untilResumed(shardId, stop) : this.#untilRenewed();
  }

  async #untilRenewed(): Promise<void> {
    const { clock, stop, remainingMs = () => Infinity } = this.#shard;
    while (remainingMs() <= 0 && !stop.aborted) await sleep(clock, LEASE_CHECK_MS, stop);
  }

  /** The store lags behind: waits until it has caught up or the shard stops. */
  async #untilFlushed(): Promise<void> {
    const { shardId, progress, stop, telemetry } = this.#shard;
    telemetry.warn("finished work waits for the store for too long: delivery pauses", { shardId });
    let cancel = (): void => {};
    const stopped = new Promise<void>((resolve) => {
      cancel = resolve;
      stop.addEventListener("abort", cancel, { once: true });
    });
    await Promise.race([progress.flush(), stopped]);
    stop.removeEventListener("abort", cancel);
    if (!stop.aborted) telemetry.info("the store has caught up: delivery resumes", { shardId });
  }
}
