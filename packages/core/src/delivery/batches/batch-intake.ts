import type { ResolvedBatches } from "../../options/resolve-delivery.ts";
import type { RecordCursor } from "../../reading/record-cursor.ts";
import type { Page } from "../../reading/shard-reader.ts";
import type { ConsumerRecord } from "../../record.ts";
import { BatchRecord } from "./batch.ts";
import { BatchLanes } from "./batch-lanes.ts";
import { BatchWindow } from "./batch-window.ts";
import type { DeliveredShard } from "../delivery.ts";
import { laneOf, type LaneOf } from "../lane-of.ts";
import type { Tracker } from "../tracker.ts";

/** Callbacks of `BatchIntake`. */
export interface IntakeOutcome {
  /** The record waits behind a failed record of its lane: it should not keep its page in memory. */
  readonly onHeldUp: (record: BatchRecord) => void;
  /** The record's lane is not known, since `key` threw. */
  readonly onUnordered: (record: BatchRecord, error: unknown) => void;
  /** All records of the page are in lanes: there is room for the next page. */
  readonly onPageEnd: () => void;
  /** The first record has waited for `maxWaitMs`. */
  readonly onDue: () => void;
}

/** Sorts the records of pages into lanes, and decides when the next batch is complete. */
export class BatchIntake {
  readonly #shard: DeliveredShard;
  readonly #policy: ResolvedBatches;
  readonly #tracker: Tracker;
  readonly #outcome: IntakeOutcome;
  readonly #laneOf: LaneOf;
  readonly #lanes: BatchLanes<BatchRecord>;
  readonly #window: BatchWindow;
  /** When the newest page arrived, by the monotonic clock. */
  #pageArrivedAt = 0;
  /** A cursor over the page's records that are in no lane yet. */
  #page: RecordCursor | undefined;
  /** True while the accepted records may be the shard's last ones. */
  #isEnding = false;
  #unfinished = 0;

  constructor(
    shard: DeliveredShard,
    policy: ResolvedBatches,
    tracker: Tracker,
    outcome: IntakeOutcome,
  ) {
    this.#shard = shard;
    this.#policy = policy;
    this.#tracker = tracker;
    this.#outcome = outcome;
    this.#laneOf = laneOf(policy);
    this.#lanes = new BatchLanes(policy, outcome.onHeldUp);
    this.#window = new BatchWindow(shard, policy.maxWaitMs, outcome.onDue);
  }

  /** Whether records of the newest page are in no lane yet. */
  get hasPage(): boolean {
    return this.#page !== undefined;
  }

  /** The number of records in lanes and batches that are not finished. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** The same plus the records of the page that are in no lane yet. */
  get inFlight(): number {
    return (this.#page?.left ?? 0) + this.#unfinished;
  }

  /** The number of lanes with a failed record that is not finished. */
  get held(): number {
    return this.#lanes.held;
  }

  accept(page: Page): void {
    this.#page = this.#tracker.accept(page);
    this.#pageArrivedAt = this.#shard.clock.monotonic();
  }

  /** While the shard may be at its end, batches do not wait for more records. */
  ending(isEnding: boolean): void {
    this.#isEnding = isEnding;
  }

  /** Puts records of the page into lanes while there is room. */
  fill(): void {
    const page = this.#page;
    while (page !== undefined && page.left > 0) {
      if (!this.#hasRoom) return;
      const record = page.current();
      if (record === undefined) break;
      const { endsStreamRecord } = page;
      page.advance();
      this.#add(record, endsStreamRecord);
    }
    if (page === undefined) return;
    this.#page = undefined;
    this.#tracker.endPage();
    this.#outcome.onPageEnd();
  }

  /** Whether the next batch should be delivered now. */
  get isComplete(): boolean {
    const { maxWaitMs } = this.#policy;
    const { first, isFull } = this.#lanes;
    if (first === undefined || !this.#tracker.mayStart(first.ordinal)) return false;
    if (isFull || this.#isEnding) return true;
    if (maxWaitMs === 0) return this.#page === undefined || !this.#hasRoom;
    return this.#window.hasElapsed(first.arrivedAt);
  }

  /** Removes the next batch and returns its records. Their lanes are busy until the records leave. */
  take(): readonly BatchRecord[] {
    this.#window.cancel();
    return this.#lanes.take();
  }

  /** The record failed and waits, and so do those behind it. */
  hold(record: BatchRecord): void {
    this.#lanes.hold(record);
  }

  /** The record is finished. */
  leave(record: BatchRecord): void {
    this.#lanes.leave(record);
    this.#unfinished -= 1;
  }

  /** Drops the rest of the page and ends the wait. */
  close(): void {
    this.#window.cancel();
    this.#page = undefined;
  }

  /** Whether another record may enter. At most one full batch for each concurrent call, plus one, may wait. */
  get #hasRoom(): boolean {
    const { concurrency, maxRecords } = this.#policy;
    const isFull = this.#lanes.waiting >= maxRecords * (concurrency + 1);
    return !isFull && this.#tracker.mayStartNext();
  }

  #add(record: ConsumerRecord, endsStreamRecord: boolean): void {
    this.#unfinished += 1;
    const { sequenceNumber, subSequenceNumber: sub, approximateArrivalMs } = record;
    const ordinal = this.#tracker.start(
      sequenceNumber,
      sub,
      endsStreamRecord,
      approximateArrivalMs,
    );
    let lane: string | undefined;
    let failure: { readonly error: unknown } | undefined;
    try {
      lane = this.#laneOf(record);
    } catch (error) {
      failure = { error };
    }
    const job = new BatchRecord(record, ordinal, lane, this.#pageArrivedAt);
    if (failure === undefined) this.#lanes.add(job);
    else this.#outcome.onUnordered(job, failure.error);
  }
}
