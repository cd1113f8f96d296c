import { setTimer, type Clock } from "../clock.ts";
import type { ShardProgress } from "./shard-progress.ts";

/**
 * The shards with progress to write, and when each is due. The ticks of all shards lie on one grid, so that
 * one bulk write can include all due shards.
 */
export class FlushSchedule {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #onDue: () => void;
  readonly #startedAt: number;
  readonly #shards = new Set<ShardProgress>();
  #isPaused = false;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;

  constructor(clock: Clock, intervalMs: number, onDue: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#onDue = onDue;
    this.#startedAt = clock.monotonic();
  }

  [Symbol.iterator](): IterableIterator<ShardProgress> {
    return this.#shards.values();
  }

  /** Schedules a shard for its next tick. */
  addAtTick(progress: ShardProgress): void {
    progress.dueAt = Math.min(progress.dueAt, this.#nextTick(progress.phaseMs));
    this.#shards.add(progress);
    this.#arm(progress.dueAt);
  }

  /** Makes a shard due now. Sets no timer: the caller writes. */
  addNow(progress: ShardProgress): void {
    progress.dueAt = 0;
    this.#shards.add(progress);
  }

  delete(progress: ShardProgress): void {
    this.#shards.delete(progress);
  }

  /** The shards that are due. Closed shards are removed. */
  due(): ShardProgress[] {
    const now = this.#clock.monotonic();
    const due: ShardProgress[] = [];
    for (const progress of this.#shards) {
      if (progress.closed) this.#shards.delete(progress);
      else if (progress.dueAt <= now) due.push(progress);
    }
    return due;
  }

  /** At most `most` of the due shards. They move behind the others, so that no failing shard is always first. */
  take(most: number): ShardProgress[] {
    const taken = this.due().slice(0, most);
    for (const progress of taken) {
      this.#shards.delete(progress);
      this.#shards.add(progress);
    }
    return taken;
  }

  /** Sets no timer until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    for (const { dueAt } of this.#shards) this.#arm(dueAt);
  }

  /** Removes all shards and ends the timer. */
  clear(): void {
    this.#cancelTimer?.();
    this.#timerAt = Infinity;
    this.#shards.clear();
  }

  #nextTick(phaseMs: number): number {
    if (this.#intervalMs === 0) return 0;
    const since = this.#clock.monotonic() - this.#startedAt - phaseMs;
    const ticks = Math.floor(since / this.#intervalMs) + 1;
    return this.#startedAt + phaseMs + ticks * this.#intervalMs;
  }

  #arm(at: number): void {
    if (this.#isPaused || at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    const onTime = (): void => {
      this.#timerAt = Infinity;
      this.#onDue();
    };
    this.#cancelTimer = setTimer(this.#clock, onTime, at - this.#clock.monotonic());
  }
}
