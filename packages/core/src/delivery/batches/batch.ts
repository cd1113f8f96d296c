import type { Checkpoint } from "../../checkpoints/position.ts";
import type { ConsumerRecord } from "../../record.ts";
import { RecordJob } from "../record-job.ts";

/** A record that is handled in a batch. */
export class BatchRecord extends RecordJob {
  /** The batch that it is in; undefined = it is in none yet. */
  batch: Batch | undefined = undefined;
  /** It is done, or given up for good. */
  isOver = false;
  /** When it came, by the monotonic clock. */
  readonly cameAt: number;

  constructor(record: ConsumerRecord, ordinal: number, lane: string | undefined, cameAt: number) {
    super(record, ordinal, lane);
    this.cameAt = cameAt;
  }
}

/**
 * A handler of the library's own answers it: the batch is run again, which is no attempt, but for the
 * records that are stored already.
 */
export class RunAgain {
  /** Records up to here are done. Undefined = none is. */
  readonly stored: Checkpoint | undefined;

  constructor(stored?: Checkpoint) {
    this.stored = stored;
  }
}

/**
 * Records that are given to the handler together. A part that has to be tried again, or has to wait, is
 * another batch.
 */
export class Batch {
  readonly records: readonly BatchRecord[];
  /** Attempts that were begun. */
  attempts: number;
  /** It waits for the time of its next attempt. */
  isPaused = false;
  readonly #onFree: (batch: Batch) => void;
  /** Its records that are not over, and in no other batch. */
  #open: number;
  /** What may be handled once this batch is over. */
  #next: Batch | undefined;
  /** Batches that have this one as their next. */
  #awaited = 0;
  /** It waits for records of other keys, too. */
  #waitsForAll = false;

  /** @param onFree called with a batch that waited for this one, or for a part of it, and waits no more */
  constructor(records: readonly BatchRecord[], attempts: number, onFree: (batch: Batch) => void) {
    this.records = records;
    this.attempts = attempts;
    this.#onFree = onFree;
    this.#open = records.length;
    for (const record of records) record.batch = this;
  }

  /** Does it wait for another batch? */
  get waits(): boolean {
    return this.#awaited > 0;
  }

  /** The other batch waits until this one is over, instead of what did so: it waits for that, or that for it. */
  precede(next: Batch): void {
    if (this.#next !== undefined) this.#next.#awaited -= 1;
    this.#next = next;
    next.#awaited += 1;
  }

  /** One of its records is over, or goes to another batch. */
  leave(): void {
    this.#open -= 1;
    const next = this.#next;
    if (this.#open > 0 || next === undefined) return;
    this.#next = undefined;
    next.#awaited -= 1;
    if (next.#awaited === 0) this.#onFree(next);
  }

  /** Some of its records as a batch of their own. What waits for their keys waits for that one, too. */
  part(places: readonly number[], attempts: number): Batch {
    const part = this.#partOf(places, attempts);
    const next = this.#next;
    if (next !== undefined && (next.#waitsForAll || part.#sharesKeyWith(next))) part.precede(next);
    for (let left = places.length; left > 0; left -= 1) this.leave();
    return part;
  }

  /** The same, to be handled once the others are over: those of its keys, or all. */
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
