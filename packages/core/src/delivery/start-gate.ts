import { sleep } from "../clock.ts";
import type { PauseReason } from "../telemetry/events.ts";
import type { DeliveredShard } from "./delivery.ts";
import type { HandledMetrics } from "./handled-metrics.ts";

/**
 * Of records that a handler is done with at once, the clock is read once in so many at most: reading
 * it costs ten times the other checks.
 */
const RECORDS_BETWEEN_LOOKS = 16;
/** After so long without a turn of the event loop, timers and other shards get theirs. */
const TURN_MS = 10;
/** How often a frozen lease is looked at. */
const FROZEN_LOOK_MS = 50;

/**
 * Asked before each start of a record, attempts included: does the lease last, has finished work
 * waited too long for the store, has the user paused the shard, whose turn of the event loop is it? A
 * stop is its caller's to see.
 */
export class StartGate {
  readonly #shard: DeliveredShard;
  readonly #metrics: HandledMetrics;
  /** Records started since the last look at the clock. */
  #started = 0;
  /** So many are started before the next look. */
  #fitting = 0;
  #lookedAt: number;
  #turnBegan: number;
  #pausedBy: PauseReason | undefined;

  constructor(shard: DeliveredShard, metrics: HandledMetrics) {
    this.#shard = shard;
    this.#metrics = metrics;
    this.#turnBegan = this.#lookedAt = shard.clock.monotonic();
  }

  /** When the clock was read last, by itself. */
  get lookedAt(): number {
    return this.#lookedAt;
  }

  /** What records wait for; undefined = they do not have to wait. */
  get pausedBy(): PauseReason | undefined {
    return this.#pausedBy;
  }

  /**
   * Undefined = a record may start now; else when it may.
   * @param look looks at the clock in any case: an answer was awaited, or a page begins
   */
  ask(look: boolean): Promise<void> | undefined {
    const isDue = look || this.#started >= this.#fitting || this.#shard.pauses.any;
    const wait = isDue ? this.#look() : undefined;
    this.#started += 1;
    return wait;
  }

  /** All that is done goes to the store before another record starts. @throws KcError, the store's */
  async untilWritten(): Promise<void> {
    const { clock, progress } = this.#shard;
    const since = clock.monotonic();
    this.#pausedBy = "store";
    try {
      await progress.flush();
    } finally {
      this.#pausedBy = undefined;
      this.#lookedAt = clock.monotonic();
    }
    this.#metrics.pause(this.#lookedAt - since);
  }

  #look(): Promise<void> | undefined {
    const { clock } = this.#shard;
    const now = clock.monotonic();
    const turnIsOver = now - this.#turnBegan > TURN_MS;
    // As many records as fit into what is left of the turn, going by the last ones.
    const recordMs = this.#started > 0 ? (now - this.#lookedAt) / this.#started : Infinity;
    const leftMs = turnIsOver ? TURN_MS : TURN_MS - (now - this.#turnBegan);
    const fitting = Math.max(1, Math.floor(leftMs / recordMs) || 0);
    this.#fitting = Math.min(RECORDS_BETWEEN_LOOKS, fitting);
    this.#started = 0;
    this.#lookedAt = now;
    this.#metrics.reportIfDue(now);
    return turnIsOver || this.#reason(now) !== undefined ? this.#wait() : undefined;
  }

  /** What a record would have to wait for now; undefined = nothing. */
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
      // While one is waited for, another may come: the lease ends, the user pauses the shard.
      const reason = this.#reason(clock.monotonic());
      if (reason === undefined) break;
      await this.#pause(reason);
      if (stop.aborted) break;
    }
    this.#turnBegan = this.#lookedAt = clock.monotonic();
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

  #until(over: PauseReason): Promise<void> {
    const { shardId, pauses, stop } = this.#shard;
    if (over === "store") return this.#untilFlushed();
    return over === "user" ? pauses.untilResumed(shardId, stop) : this.#untilRenewed();
  }

  async #untilRenewed(): Promise<void> {
    const { clock, stop, remainingMs = () => Infinity } = this.#shard;
    while (remainingMs() <= 0 && !stop.aborted) await sleep(clock, FROZEN_LOOK_MS, stop);
  }

  /** The store lags behind: nothing starts until it has caught up, or the shard stops. */
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
