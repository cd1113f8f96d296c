import type { Checkpoint } from "../checkpoints/position.ts";
import type { ConsumerRecord } from "../record.ts";
import { RecordJob } from "./record-job.ts";

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
  /** Its records that are not over, and in no other batch. */
  #open: number;
  /** What may be handled once this batch is over. */
  #next: Batch | undefined;
  /** Batches that have this one as their next. */
  #awaited = 0;

  constructor(records: readonly BatchRecord[], attempts: number) {
    this.records = records;
    this.attempts = attempts;
    this.#open = records.length;
    for (const record of records) record.batch = this;
  }

  /** The other batch waits until this one is over, instead of what did so: it waits for that, or that for it. */
  precede(next: Batch): void {
    if (this.#next !== undefined) this.#next.#awaited -= 1;
    this.#next = next;
    next.#awaited += 1;
  }

  /** One of its records is over, or goes to another batch. Answers with the batch that may be handled now. */
  leave(): Batch | undefined {
    this.#open -= 1;
    const next = this.#next;
    if (this.#open > 0 || next === undefined) return undefined;
    this.#next = undefined;
    next.#awaited -= 1;
    return next.#awaited === 0 ? next : undefined;
  }

  /** Some of its records as a batch of their own. What waits for this batch waits for that one, too. */
  part(places: readonly number[], attempts: number): Batch {
    const part = new Batch(
      places.map((place) => this.records[place]!),
      attempts,
    );
    if (this.#next !== undefined) part.precede(this.#next);
    for (let left = places.length; left > 0; left -= 1) this.leave();
    return part;
  }

  /** The same, to be handled once the others are over. */
  partBehind(places: readonly number[], attempts: number): Batch {
    const behind = this.part(places, attempts);
    this.precede(behind);
    return behind;
  }
}
