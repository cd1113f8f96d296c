import type { Position } from "../checkpoints/position.ts";
import type { RecordCursor } from "../reading/record-cursor.ts";
import type { ConsumerRecord } from "../record.ts";

/** A cursor over a page's records that leaves out those that were done before the shard was resumed. */
export class UnfinishedRecords implements RecordCursor {
  readonly #records: RecordCursor;
  readonly #passDone: (record: ConsumerRecord, endsStreamRecord: boolean) => boolean;

  /** @param passDone returns true if the record is done already, and marks it as done */
  constructor(
    records: RecordCursor,
    passDone: (record: ConsumerRecord, endsStreamRecord: boolean) => boolean,
  ) {
    this.#records = records;
    this.#passDone = passDone;
  }

  get left(): number {
    return this.#records.left;
  }

  get endsStreamRecord(): boolean {
    return this.#records.endsStreamRecord;
  }

  current(): ConsumerRecord | undefined {
    for (;;) {
      const record = this.#records.current();
      if (record === undefined) return undefined;
      if (!this.#passDone(record, this.#records.endsStreamRecord)) return record;
      this.#records.advance();
    }
  }

  advance(): void {
    this.#records.advance();
  }

  dropThrough(position: Position): void {
    this.#records.dropThrough(position);
  }
}
