import type { ResolvedBatches } from "../../options/resolve-delivery.ts";
import type { RecordCursor } from "../../reading/record-cursor.ts";
import type { Page } from "../../reading/shard-reader.ts";
import type { ConsumerRecord } from "../../record.ts";
import { BatchRecord } from "./batch.ts";
import { BatchLanes } from "./batch-lanes.ts";
import { BatchWait } from "./batch-wait.ts";
import type { DeliveredShard } from "../delivery.ts";
import { laneOf, type LaneOf } from "../lane-of.ts";
import type { Tracker } from "../tracker.ts";

/** What follows from what comes in. */
export interface IntakeOutcome {
  /** The record waits behind one of its lane that failed: it should not keep its page. */
  readonly onHeldUp: (record: BatchRecord) => void;
  /** Its lane is not known: `key` threw. */
  readonly onUnordered: (record: BatchRecord, error: unknown) => void;
  /** No record of the page is left to come in: there is room for the next one. */
  readonly onPageOver: () => void;
  /** The first record has waited long enough. */
  readonly onDue: () => void;
}

/** Records on their way from the page to the next batch, and when that is complete. */
export class BatchIntake {
  readonly #shard: DeliveredShard;
  readonly #policy: ResolvedBatches;
  readonly #tracker: Tracker;
  readonly #outcome: IntakeOutcome;
  readonly #laneOf: LaneOf;
  readonly #lanes: BatchLanes<BatchRecord>;
  readonly #wait: BatchWait;
  /** When the newest page came, by the monotonic clock. */
  #pageCameAt = 0;
  /** Its records that are in no lane. */
  #page: RecordCursor | undefined;
  /** The records that are there are the last ones. */
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
    this.#wait = new BatchWait(shard, policy.maxWaitMs, outcome.onDue);
  }

  /** Are records of the newest page in no lane yet? */
  get hasPage(): boolean {
    return this.#page !== undefined;
  }

  /** Records that have come in and have not left. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** These, and those of the page that have yet to come in. */
  get inFlight(): number {
    return (this.#page?.left ?? 0) + this.#unfinished;
  }

  /** Lanes with a record that failed and is not done. */
  get held(): number {
    return this.#lanes.held;
  }

  accept(page: Page): void {
    this.#page = this.#tracker.accept(page);
    this.#pageCameAt = this.#shard.clock.monotonic();
  }

  /** While the shard may be at its end, batches wait for nothing. */
  ending(isEnding: boolean): void {
    this.#isEnding = isEnding;
  }

  /** Puts records into lanes, while there is room. */
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
    this.#tracker.pageOver();
    this.#outcome.onPageOver();
  }

  /** Is the next batch to be delivered now? */
  get isComplete(): boolean {
    const { maxWaitMs } = this.#policy;
    const { first, isFull } = this.#lanes;
    if (first === undefined || !this.#tracker.mayStart(first.ordinal)) return false;
    if (isFull || this.#isEnding) return true;
    if (maxWaitMs === 0) return this.#page === undefined || !this.#hasRoom;
    return this.#wait.isOver(first.cameAt);
  }

  /** The records of the next batch. Their lanes are busy until they leave. */
  take(): readonly BatchRecord[] {
    this.#wait.end();
    return this.#lanes.take();
  }

  /** The record failed, and waits: so do those behind it. */
  hold(record: BatchRecord): void {
    this.#lanes.hold(record);
  }

  /** The record is over. */
  leave(record: BatchRecord): void {
    this.#lanes.leave(record);
    this.#unfinished -= 1;
  }

  /** Nothing more comes in. */
  close(): void {
    this.#wait.end();
    this.#page = undefined;
  }

  /** A batch for each call that may be made, and one more: so many records wait at most. */
  get #hasRoom(): boolean {
    const { concurrency, maxRecords } = this.#policy;
    const isFull = this.#lanes.waiting >= maxRecords * (concurrency + 1);
    return !isFull && this.#tracker.mayStartNext();
  }

  #add(record: ConsumerRecord, endsStreamRecord: boolean): void {
    this.#unfinished += 1;
    const { sequenceNumber, subSequenceNumber } = record;
    const ordinal = this.#tracker.start(sequenceNumber, subSequenceNumber, endsStreamRecord);
    let lane: string | undefined;
    let failure: { readonly error: unknown } | undefined;
    try {
      lane = this.#laneOf(record);
    } catch (error) {
      failure = { error };
    }
    const job = new BatchRecord(record, ordinal, lane, this.#pageCameAt);
    if (failure === undefined) this.#lanes.add(job);
    else this.#outcome.onUnordered(job, failure.error);
  }
}
