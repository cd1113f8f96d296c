import type { Checkpoint } from "../../checkpoints/position.ts";
import type { ConsumerRecord } from "../../record.ts";
import { RecordJob } from "../record-job.ts";

/** A record that is handled in a batch. */
export class BatchRecord extends RecordJob {
  /** The batch that contains it; undefined if none does yet. */
  batch: Batch | undefined = undefined;
  /** True once it is done or given up for good. */
  isFinished = false;
  /** When its page arrived, by the monotonic clock. */
  readonly arrivedAt: number;

  constructor(
    record: ConsumerRecord,
    ordinal: number,
    lane: string | undefined,
    arrivedAt: number,
  ) {
    super(record, ordinal, lane);
    this.arrivedAt = arrivedAt;
  }
}

/**
 * The answer of a library-internal handler that asks for the batch to be run again without the records that
 * are stored already. The run that returned it does not count as an attempt.
 */
export class RunAgain {
  /** Records up to this checkpoint are done; undefined = none is. */
  readonly stored: Checkpoint | undefined;

  constructor(stored?: Checkpoint) {
    this.stored = stored;
  }
}

/**
 * Records that are given to the handler together. Records of it that must be retried or must wait are split
 * off into another batch.
 */
export class Batch {
  readonly records: readonly BatchRecord[];
  /** The number of attempts that were started. */
  attempts: number;
  /** True while it waits for the delay before its next attempt. */
  isPaused = false;
  readonly #onFree: (batch: Batch) => void;
  /** The number of its records that are unfinished and were not split off. */
  #open: number;
  /** The batch that may start once this one is finished. */
  #next: Batch | undefined;
  /** The number of batches that have this one as their next. */
  #awaited = 0;
  /** True if it also waits for records of other keys. */
  #waitsForAll = false;

  /** @param onFree called with a batch that waited for this one or a part of it, and no longer waits */
  constructor(records: readonly BatchRecord[], attempts: number, onFree: (batch: Batch) => void) {
    this.records = records;
    this.attempts = attempts;
    this.#onFree = onFree;
    this.#open = records.length;
    for (const record of records) record.batch = this;
  }

  /** Whether it waits for another batch. */
  get waits(): boolean {
    return this.#awaited > 0;
  }

  /** Makes `next` wait for this batch instead of the batch that did before, which must wait for `next` by now. */
  precede(next: Batch): void {
    if (this.#next !== undefined) this.#next.#awaited -= 1;
    this.#next = next;
    next.#awaited += 1;
  }

  /** One of its records is finished or was split off. */
  leave(): void {
    this.#open -= 1;
    const next = this.#next;
    if (this.#open > 0 || next === undefined) return;
    this.#next = undefined;
    next.#awaited -= 1;
    if (next.#awaited === 0) this.#onFree(next);
  }

  /** Splits off some of its records. A batch that waits for one of their keys also waits for the new batch. */
  part(places: readonly number[], attempts: number): Batch {
    const part = this.#partOf(places, attempts);
    const next = this.#next;
    if (next !== undefined && (next.#waitsForAll || part.#sharesKeyWith(next))) part.precede(next);
    for (let left = places.length; left > 0; left -= 1) this.leave();
    return part;
  }

  /** Splits off records that wait for the remaining ones: for those of the same keys, or for all of them. */
  partBehind(places: readonly number[], attempts: number, waitsForAll: boolean): Batch {
    const behind = this.#partOf(places, attempts);
    behind.#waitsForAll = waitsForAll;
    if (this.#next !== undefined) behind.precede(this.#next);
    this.precede(behind);
    for (let left = places.length; left > 0; left -= 1) this.leave();
    return behind;
  }

  #partOf(places: readonly number[], attempts: number): Batch {
    const records = places.map((place) => this.records[place]!);
    return new Batch(records, attempts, this.#onFree);
  }

  #sharesKeyWith(other: Batch): boolean {
    const keys = new Set(this.records.map(({ key }) => key));
    return other.records.some(({ key }) => keys.has(key));
  }
}
