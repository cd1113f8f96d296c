import TinyQueue from "tinyqueue";

/** A record that waits for its batch. */
export interface Batchable {
  /** In the order of the shard. */
  readonly ordinal: number;
  /** Its lane; undefined = it has one of its own. */
  readonly key: string | undefined;
  readonly record: { readonly data: Uint8Array };
}

interface Lane<Job> {
  /** Those before `next` are in the batch that is formed. */
  waiting: Job[];
  next: number;
  /** Its records in batches that are not over: as long as there are any, it waits. */
  inHand: number;
  /** One of them has failed: the others may wait for long. */
  isHeld: boolean;
}

/** A lane by its first record. It is out of date once another one is the first. */
interface Free<Job> {
  readonly ordinal: number;
  readonly lane: Lane<Job>;
}

/**
 * Which records make the next batch: the first ones in the order of the shard whose lanes have no record
 * in a batch that is not over, as many as fit. A batch may have many records of a lane, in order. Pure.
 *
 * It is formed when it is asked for. A record costs the logarithm of how many lanes may go on, however
 * many records wait behind others.
 */
export class BatchLanes<Job extends Batchable> {
  readonly #maxRecords: number;
  readonly #maxBytes: number;
  readonly #onHeldUp: (job: Job) => void;
  /** Lanes with a record that waits, or is in a batch that is not over. */
  readonly #lanes = new Map<string, Lane<Job>>();
  /** Lanes that may go on, by their first records. */
  readonly #free = new TinyQueue<Free<Job>>([], (a, b) => a.ordinal - b.ordinal);
  /** The next batch, and the lane of each of its records. */
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

  /** Records that are in no batch yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lanes with a record that failed and is not done. */
  get held(): number {
    return this.#held;
  }

  /** The first record of the next batch; undefined = there is none that may be handled. */
  get first(): Job | undefined {
    this.#form();
    return this.#formed[0];
  }

  /** Does no further record fit into the next batch? */
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

  /** The next batch, however large: its lanes are busy until its records have left. */
  take(): readonly Job[] {
    this.#form();
    const batch = this.#formed;
    for (const lane of this.#formedLanes) {
      lane.inHand += 1;
      // The first of its records passes them all.
      if (lane.next > 0) lane.waiting = lane.waiting.slice(lane.next);
      lane.next = 0;
    }
    this.#waiting -= batch.length;
    this.#clear();
    return batch;
  }

  /** A record of a batch has failed, and waits. */
  hold({ key }: Job): void {
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (lane === undefined || lane.inHand === 0 || lane.isHeld) return;
    lane.isHeld = true;
    this.#held += 1;
    lane.waiting.forEach(this.#onHeldUp);
  }

  /** A record of a batch is over. With the last one of its lane, those that came later may be handled. */
  leave({ key }: Job): void {
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (lane === undefined || lane.inHand === 0) return;
    lane.inHand -= 1;
    if (lane.inHand > 0) return;
    if (lane.isHeld) this.#held -= 1;
    lane.isHeld = false;
    if (lane.waiting.length === 0) this.#lanes.delete(key!);
    else this.#offer(lane);
  }

  #laneOf({ key }: Job): Lane<Job> {
    const known = key === undefined ? undefined : this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane: Lane<Job> = { waiting: [], next: 0, inHand: 0, isHeld: false };
    if (key !== undefined) this.#lanes.set(key, lane);
    return lane;
  }

  /** The lane may go on, unless it is busy. What comes before the newest record of a batch breaks it up. */
  #offer(lane: Lane<Job>): void {
    const job = lane.waiting[lane.next];
    if (job === undefined || lane.inHand > 0) return;
    const newest = this.#formed.at(-1);
    if (newest !== undefined && job.ordinal < newest.ordinal) this.#breakUp();
    this.#free.push({ ordinal: job.ordinal, lane });
  }

  /** The records of the next batch wait again. */
  #breakUp(): void {
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

  /** Puts as many records into the next batch as fit. */
  #form(): void {
    while (!this.#isFull) {
      const first = this.#free.peek();
      if (first === undefined) return;
      const { ordinal, lane } = first;
      const job = lane.waiting[lane.next];
      if (lane.inHand > 0 || job?.ordinal !== ordinal) {
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
