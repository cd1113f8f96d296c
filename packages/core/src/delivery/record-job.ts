import { ConsumerRecord } from "../record.ts";
import type { Attempted } from "./failures.ts";
import type { InLane } from "./lanes.ts";
import type { Tracker } from "./tracker.ts";

/** What a record in memory costs beside its data. An estimate, in bytes. */
const RECORD_OVERHEAD_BYTES = 300;

/** A record that has to wait: for its turn, for its handler, for its next attempt, for a queue. */
export class RecordJob implements InLane<RecordJob>, Attempted {
  /** As it was read, whatever a handler has written into it. */
  record: ConsumerRecord;
  /** The tracker's. */
  readonly ordinal: number;
  readonly key: string | undefined;
  attempts = 0;
  firstFailedAt: Date | undefined = undefined;
  /** Does the record lie in a copy of its own? */
  isDetached = false;
  behind: RecordJob | undefined = undefined;
  nextReady: RecordJob | undefined = undefined;

  constructor(record: ConsumerRecord, ordinal: number, key: string | undefined) {
    this.record = record;
    this.ordinal = ordinal;
    this.key = key;
  }

  /** Copies the record out of its page, where the tracker allows it: what waits for long keeps no page. */
  detach(tracker: Tracker): void {
    const bytes = this.record.data.byteLength + RECORD_OVERHEAD_BYTES;
    if (this.isDetached || !tracker.detach(this.ordinal, bytes)) return;
    this.record = this.record.copy();
    this.isDetached = true;
  }

  /** The record for one attempt. A handler may write into it; its data are shared. */
  given(): ConsumerRecord {
    return new ConsumerRecord(this.record);
  }
}
