/** A record that waits for its batch. */
export interface Batchable {
  /** In the order of the shard. */
  readonly ordinal: number;
  /** Its lane; undefined = it has one of its own. */
  readonly key: string | undefined;
  readonly record: { readonly data: Uint8Array };
}

/** A lane of which records are in a batch that is not over. */
interface BusyLane<Job> {
  inHand: number;
  /** One of them has failed: the others may wait for long. */
  isHeld: boolean;
  /** Records that came later, in order. */
  readonly parked: Job[];
}

/**
 * Which records make the next batch: the first ones in the order of the shard whose lanes have no record
 * in a batch that is not over, as many as fit. A batch may have many records of a lane, in order. Pure.
 */
export class BatchLanes<Job extends Batchable> {
  readonly #maxRecords: number;
  readonly #maxBytes: number;
  readonly #onHeldUp: (job: Job) => void;
  readonly #busy = new Map<string, BusyLane<Job>>();
  /** Records that were not looked at, in order. */
  #ready: Job[] = [];
  /** Those of `#ready` before here were looked at. */
  #looked = 0;
  /** The next batch. */
  #formed: Job[] = [];
  #bytes = 0;
  #isFull = false;
  #parked = 0;
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
    return this.#ready.length - this.#looked + this.#formed.length + this.#parked;
  }

  /** Lanes with a record that failed and is not done. */
  get held(): number {
    return this.#held;
  }

  /** The first record of the next batch; undefined = there is none that may be handled. */
  get first(): Job | undefined {
    return this.#formed[0];
  }

  /** Does no further record fit into the next batch? */
  get isFull(): boolean {
    return this.#isFull;
  }

  add(job: Job): void {
    this.#ready.push(job);
    this.#form();
  }

  /** The next batch, however large: its lanes are busy until its records have left. */
  take(): readonly Job[] {
    const batch = this.#formed;
    for (const { key } of batch) {
      if (key === undefined) continue;
      const lane = this.#busy.get(key);
      if (lane === undefined) this.#busy.set(key, { inHand: 1, isHeld: false, parked: [] });
      else lane.inHand += 1;
    }
    this.#formed = [];
    this.#form();
    return batch;
  }

  /** A record of a batch has failed, and waits. */
  hold({ key }: Job): void {
    const lane = key === undefined ? undefined : this.#busy.get(key);
    if (lane === undefined || lane.isHeld) return;
    lane.isHeld = true;
    this.#held += 1;
    lane.parked.forEach(this.#onHeldUp);
  }

  /** A record of a batch is over. With the last one of its lane, those that came later may be handled. */
  leave({ key }: Job): void {
    const lane = key === undefined ? undefined : this.#busy.get(key);
    if (lane === undefined) return;
    lane.inHand -= 1;
    if (lane.inHand > 0) return;
    this.#busy.delete(key!);
    if (lane.isHeld) this.#held -= 1;
    if (lane.parked.length === 0) return;
    this.#parked -= lane.parked.length;
    const all = [...lane.parked, ...this.#formed, ...this.#ready.slice(this.#looked)];
    this.#ready = all.toSorted((a, b) => a.ordinal - b.ordinal);
    this.#looked = 0;
    this.#formed = [];
    this.#form();
  }

  #form(): void {
    if (this.#formed.length === 0) {
      this.#bytes = 0;
      this.#isFull = false;
    }
    while (!this.#isFull && this.#looked < this.#ready.length) {
      const job = this.#ready[this.#looked]!;
      const lane = job.key === undefined ? undefined : this.#busy.get(job.key);
      if (lane !== undefined) this.#park(lane, job);
      else if (!this.#fits(job)) {
        this.#isFull = true;
        break;
      } else this.#put(job);
      this.#looked += 1;
    }
    if (this.#looked < this.#ready.length) return;
    this.#ready = [];
    this.#looked = 0;
  }

  #fits({ record }: Job): boolean {
    return this.#formed.length === 0 || this.#bytes + record.data.byteLength <= this.#maxBytes;
  }

  #put(job: Job): void {
    this.#formed.push(job);
    this.#bytes += job.record.data.byteLength;
    this.#isFull = this.#formed.length === this.#maxRecords || this.#bytes >= this.#maxBytes;
  }

  #park(lane: BusyLane<Job>, job: Job): void {
    lane.parked.push(job);
    this.#parked += 1;
    if (lane.isHeld) this.#onHeldUp(job);
  }
}
