import type { ConsumerRecord } from "../record.ts";
import { RecordJob } from "./record-job.ts";

/** A record that is handled in a batch. */
export class BatchRecord extends RecordJob {
  /** The batch that it is in; undefined = it is in none yet. */
  batch: Batch | undefined = undefined;
  /** When it came, by the monotonic clock. */
  readonly cameAt: number;

  constructor(record: ConsumerRecord, ordinal: number, lane: string | undefined, cameAt: number) {
    super(record, ordinal, lane);
    this.cameAt = cameAt;
  }
}

/** Records that are given to the handler together. A part that has to be tried again is another batch. */
export class Batch {
  readonly records: readonly BatchRecord[];
  /** Attempts that were begun. */
  attempts: number;
  /** What may be handled once all records of this batch are over. */
  next: Batch | undefined;
  /** Its records that are not over, and in no other batch. */
  #open: number;

  constructor(records: readonly BatchRecord[], attempts: number, next?: Batch) {
    this.records = records;
    this.attempts = attempts;
    this.next = next;
    this.#open = records.length;
    for (const record of records) {
      record.batch?.leave();
      record.batch = this;
    }
  }

  get isOver(): boolean {
    return this.#open === 0;
  }

  /** One of its records is over, or goes to another batch. */
  leave(): void {
    this.#open -= 1;
  }

  /** Some of its records as a batch of their own; what waits for this batch waits for that one. */
  part(places: readonly number[], attempts: number): Batch {
    const { next } = this;
    this.next = undefined;
    return new Batch(
      places.map((place) => this.records[place]!),
      attempts,
      next,
    );
  }
}
