import TinyQueue from "tinyqueue";

/** A record that waits to be put into a batch. */
export interface Batchable {
  /** Its place in the order of the shard. */
  readonly ordinal: number;
  /** Its lane; undefined = a lane of its own. */
  readonly key: string | undefined;
  readonly record: { readonly data: Uint8Array };
}

interface Lane<Job> {
  /** The waiting records. Those before the index `next` are in the batch that is being formed. */
  waiting: Job[];
  next: number;
  /** The number of its records in unfinished batches. While there are any, the lane is blocked. */
  inBatches: number;
  /** One of these has failed, so the waiting records may wait for long. */
  isHeld: boolean;
}

/** A lane with the ordinal of its first record. The entry is stale once another record is the first. */
interface Free<Job> {
  readonly ordinal: number;
  readonly lane: Lane<Job>;
}

/**
 * Selects the records of the next batch: the first ones in shard order whose lanes have no record in an
 * unfinished batch, as many as fit. A batch may contain many records of a lane, in order. Pure.
 *
 * The batch is formed on demand. The cost of a record is logarithmic in the number of unblocked lanes,
 * however many records wait in blocked lanes.
 */
export class BatchLanes<Job extends Batchable> {
  readonly #maxRecords: number;
  readonly #maxBytes: number;
  readonly #onHeldUp: (job: Job) => void;
  /** Lanes with a record that waits or is in an unfinished batch. */
  readonly #lanes = new Map<string, Lane<Job>>();
  /** The unblocked lanes, ordered by their first records. */
  readonly #free = new TinyQueue<Free<Job>>([], (a, b) => a.ordinal - b.ordinal);
  /** The records of the next batch so far, and the lane of each. */
  #formed: Job[] = [];
  #formedLanes: Lane<Job>[] = [];
  #bytes = 0;
  #isFull = false;
  #waiting = 0;
  #held = 0;

  /** @param onHeldUp called for a record that waits behind one that failed */
  constructor(
    { maxRecords, maxBytes }: { readonly maxRecords: number; readonly maxBytes: number },
    onHeldUp: (job: Job) => void,
  ) {
    this.#maxRecords = maxRecords;
    this.#maxBytes = maxBytes;
    this.#onHeldUp = onHeldUp;
  }

  /** The number of records that are in no batch yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The number of lanes with a failed record that is not finished. */
  get held(): number {
    return this.#held;
  }

  /** The first record of the next batch; undefined if no record may be handled now. */
  get first(): Job | undefined {
    this.#form();
    return this.#formed[0];
  }

  /** Whether no further record fits into the next batch. */
  get isFull(): boolean {
    this.#form();
    return this.#isFull;
  }

  add(job: Job): void {
    const lane = this.#laneOf(job);
    lane.waiting.push(job);
    this.#waiting += 1;
    if (lane.isHeld) this.#onHeldUp(job);
    if (lane.next === lane.waiting.length - 1) this.#offer(lane);
  }

  /** Removes the next batch and returns it, full or not. Its lanes are blocked until its records have left. */
  take(): readonly Job[] {
    this.#form();
    const batch = this.#formed;
    for (const lane of this.#formedLanes) {
      lane.inBatches += 1;
      // A lane occurs once for each of its records; the first occurrence removes them all.
      if (lane.next > 0) lane.waiting = lane.waiting.slice(lane.next);
      lane.next = 0;
    }
    this.#waiting -= batch.length;
    this.#clear();
    return batch;
  }

  /** A record of a batch has failed and waits. */
  hold({ key }: Job): void {
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (lane === undefined || lane.inBatches === 0 || lane.isHeld) return;
    lane.isHeld = true;
    this.#held += 1;
    lane.waiting.forEach(this.#onHeldUp);
  }

  /** A record of a batch is finished. After the last one of its lane, the lane's waiting records may follow. */
  leave({ key }: Job): void {
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (lane === undefined || lane.inBatches === 0) return;
    lane.inBatches -= 1;
    if (lane.inBatches > 0) return;
    if (lane.isHeld) this.#held -= 1;
    lane.isHeld = false;
    if (lane.waiting.length === 0) this.#lanes.delete(key!);
    else this.#offer(lane);
  }

  #laneOf({ key }: Job): Lane<Job> {
    const known = key === undefined ? undefined : this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane<Job> = { waiting: [], next: 0, inBatches: 0, isHeld: false };
    if (key !== undefined) this.#lanes.set(key, lane);
    return lane;
  }

  /** Queues a lane unless it is blocked. A record that precedes the newest one of the formed batch dissolves it. */
  #offer(lane: Lane<Job>): void {
    const job = lane.waiting[lane.next];
    if (job === undefined || lane.inBatches > 0) return;
    const newest = this.#formed.at(-1);
    if (newest !== undefined && job.ordinal < newest.ordinal) this.#dissolve();
    this.#free.push({ ordinal: job.ordinal, lane });
  }

  /** Dissolves the formed batch: its records wait again. */
  #dissolve(): void {
    const lanes = new Set(this.#formedLanes);
    this.#clear();
    for (const lane of lanes) {
      lane.next = 0;
      this.#free.push({ ordinal: lane.waiting[0]!.ordinal, lane });
    }
  }

  #clear(): void {
    this.#formed = [];
    this.#formedLanes = [];
    this.#bytes = 0;
    this.#isFull = false;
  }

  /** Adds records to the next batch until no further one fits. */
  #form(): void {
    while (!this.#isFull) {
      const first = this.#free.peek();
      if (first === undefined) return;
      const { ordinal, lane } = first;
      const job = lane.waiting[lane.next];
      if (lane.inBatches > 0 || job?.ordinal !== ordinal) {
        this.#free.pop();
        continue;
      }
      if (!this.#fits(job)) {
        this.#isFull = true;
        return;
      }
      this.#free.pop();
      this.#put(job, lane);
      this.#offer(lane);
    }
  }

  #fits({ record }: Job): boolean {
    return this.#formed.length === 0 || this.#bytes + record.data.byteLength <= this.#maxBytes;
  }

  #put(job: Job, lane: Lane<Job>): void {
    this.#formed.push(job);
    this.#formedLanes.push(lane);
    lane.next += 1;
    this.#bytes += job.record.data.byteLength;
    this.#isFull = this.#formed.length === this.#maxRecords || this.#bytes >= this.#maxBytes;
  }
}
