import { ConsumerRecord } from "../record.ts";
import type { Attempted } from "./failures.ts";
import type { InLane } from "./lanes.ts";
import type { Tracker } from "./tracker.ts";

/** The estimated memory of a record without its data, in bytes. */
const RECORD_OVERHEAD_BYTES = 300;

/** A record that waits: for its lane, its handler, its next attempt, or the dead-letter queue. */
export class RecordJob implements InLane<RecordJob>, Attempted {
  /** The record as it was read, even if a handler has written into the object that it got. */
  record: ConsumerRecord;
  /** The tracker's ordinal. */
  readonly ordinal: number;
  readonly key: string | undefined;
  attempts = 0;
  firstFailedAt: Date | undefined = undefined;
  /** True once the record was copied out of its page. */
  isDetached = false;
  behind: RecordJob | undefined = undefined;
  nextReady: RecordJob | undefined = undefined;

  constructor(record: ConsumerRecord, ordinal: number, key: string | undefined) {
    this.record = record;
    this.ordinal = ordinal;
    this.key = key;
  }

  /** Copies the record out of its page if there is memory for it, so that a long wait does not keep the page. */
  detach(tracker: Tracker): void {
    const bytes = this.record.data.byteLength + RECORD_OVERHEAD_BYTES;
    if (this.isDetached || !tracker.detach(this.ordinal, bytes)) return;
    this.record = this.record.copy();
    this.isDetached = true;
  }

  /** A new record object for one attempt, since a handler may write into it. The data are shared. */
  given(): ConsumerRecord {
    return new ConsumerRecord(this.record);
  }
}
