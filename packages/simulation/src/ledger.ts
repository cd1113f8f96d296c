import {
  compareSequenceNumbers,
  type AcquiredLease,
  type Checkpoint,
  type ConsumerRecord,
  type HandlerContext,
} from "@kc/core";

/** A promise was broken. The story ends here. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface PutRecord {
  readonly key: string;
  readonly number: number;
  readonly sequenceNumber: string;
}

/** A running handler. */
export interface Running {
  readonly worker: string;
  readonly key: string;
  readonly signal: AbortSignal;
  /** Is its process dead, frozen, or past its own deadline? */
  readonly isZombie: () => boolean;
}

/** One worker's right to one shard, as its handler sees it. */
interface Grant {
  readonly shardId: string;
  readonly epoch: number;
  checkpoint: Checkpoint | undefined;
  /** The number handled last, by key. */
  last: Map<string, number>;
  /** Records that were started past the worker's own deadline. */
  late: number;
  /** The store went back since: the same lease may be granted to the same worker once more. */
  wentBack: boolean;
  /** It was; so reading may begin again there, and `last` is how far it would be if it had. */
  again:
    | { readonly checkpoint: Checkpoint | undefined; readonly last: Map<string, number> }
    | undefined;
  /** The store has lost it: its epoch may be granted once more. */
  isVoid: boolean;
}

/** So many records start past a deadline: each was awaited, and the clock is looked at after that. */
const LATE_RECORDS = 0;

/** What was put, and what became of it; judges each event at once. */
export class Ledger {
  readonly #puts = new Map<string, number>();
  readonly #shards = new Map<string, PutRecord[]>();
  readonly #finished = new Set<string>();
  /** The highest number of a key that was ever started. */
  readonly #started = new Map<string, number>();
  readonly #running = new Map<string, Set<Running>>();
  readonly #grants = new Map<string, Grant>();
  /** Handlers that began while two workers might hold one lease. */
  readonly #begunInDoubt = new WeakSet<Running>();
  readonly #now: () => number;
  /** Until then overlaps are no violation: the store went back, and two may hold one lease. */
  lenientUntil = -Infinity;
  repeats = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get lenient(): boolean {
    return this.#now() < this.lenientUntil;
  }

  nextNumber(key: string): number {
    const number = (this.#puts.get(key) ?? 0) + 1;
    this.#puts.set(key, number);
    return number;
  }

  put(shardId: string, record: PutRecord): void {
    const records = this.#shards.get(shardId) ?? [];
    this.#shards.set(shardId, records);
    records.push(record);
  }

  /** The store has granted a lease; or reported one again that exists. */
  granted({ shardId, fence, checkpoint }: AcquiredLease): void {
    const id = `${shardId} ${fence.owner} ${fence.epoch}`;
    for (const [other, grant] of this.#grants) {
      const same = grant.shardId === shardId && grant.epoch === fence.epoch && other !== id;
      if (same && !grant.isVoid) {
        throw new Violation(
          `${shardId}: epoch ${fence.epoch} was granted to ${other} and to ${id}`,
        );
      }
    }
    const known = this.#grants.get(id);
    if (known?.wentBack === true) known.again = { checkpoint, last: new Map() };
    if (known === undefined || known.last.size === 0 || known.isVoid) {
      const { epoch } = fence;
      this.#grants.set(id, {
        shardId,
        epoch,
        checkpoint,
        last: new Map(),
        late: 0,
        wentBack: false,
        again: undefined,
        isVoid: false,
      });
    }
  }

  /** Retention took all that was put so far, handled or not. */
  trim(): void {
    for (const records of this.#shards.values()) records.length = 0;
    for (const [key, count] of this.#puts) {
      this.#started.set(key, count);
      for (let number = 1; number <= count; number += 1) this.#finished.add(`${key}:${number}`);
    }
  }

  /** The store went back: grants of later epochs than these are unknown to it. */
  wentBack(epochs: ReadonlyMap<string, number>): void {
    for (const grant of this.#grants.values()) {
      grant.wentBack = true;
      if (grant.epoch > (epochs.get(grant.shardId) ?? 0)) grant.isVoid = true;
    }
  }

  started(record: ConsumerRecord, { shardId, fence }: HandlerContext, running: Running): void {
    const [key, number] = partsOf(record);
    const grant = this.#grants.get(`${shardId} ${fence?.owner} ${fence?.epoch}`);
    if (grant === undefined) throw new Violation(`${shardId} is read without a lease`);
    const what = `${running.worker}: ${key}:${number} of ${shardId}`;
    const highest = this.#started.get(key) ?? 0;
    if (number > highest + 1) throw new Violation(`${what} came after ${key}:${highest}`);
    const { again } = grant;
    if (again && number !== this.#expected(again, shardId, key)) again.last.clear();
    else again?.last.set(key, number);
    const expected = this.#expected(grant, shardId, key);
    if (number === expected) grant.last.set(key, number);
    else if (again && again.last.size > 0) Object.assign(grant, again, { again: undefined });
    else throw new Violation(`${what} came where ${key}:${expected} was next`);
    if (number <= highest) this.repeats += 1;
    this.#started.set(key, Math.max(highest, number));
    if (running.isZombie() && (grant.late += 1) > LATE_RECORDS) {
      throw new Violation(`${what} is the ${grant.late}th record past the deadline`);
    }
    const busy = this.#running.get(key) ?? new Set();
    this.#running.set(key, busy);
    for (const other of busy) {
      if (other.signal.aborted || other.isZombie() || this.lenient) continue;
      // A zombie may begin a few records more, which are counted above.
      if (this.#begunInDoubt.has(other) || running.isZombie()) continue;
      throw new Violation(`${what} was started while ${other.worker} was at ${key}`);
    }
    busy.add(running);
    if (this.lenient) this.#begunInDoubt.add(running);
  }

  finished(record: ConsumerRecord, running: Running): void {
    const [key, number] = partsOf(record);
    this.#running.get(key)?.delete(running);
    this.#finished.add(`${key}:${number}`);
  }

  /** A checkpoint has just been written. */
  checkpointed(shardId: string, checkpoint: Checkpoint): void {
    for (const { key, number, sequenceNumber } of this.#shards.get(shardId) ?? []) {
      const covered =
        checkpoint.kind === "shard-end" ||
        compareSequenceNumbers(sequenceNumber, checkpoint.sequenceNumber) <= 0;
      if (covered && !this.#finished.has(`${key}:${number}`)) {
        throw new Violation(
          `${shardId}: a checkpoint covers ${key}:${number}, which is not finished`,
        );
      }
    }
  }

  /** What nobody has handled yet. */
  unfinished(): string[] {
    return [...this.#puts].flatMap(([key, count]) =>
      Array.from({ length: count }, (_, index) => `${key}:${index + 1}`).filter(
        (one) => !this.#finished.has(one),
      ),
    );
  }

  #expected(
    { checkpoint, last }: Pick<Grant, "checkpoint" | "last">,
    shardId: string,
    key: string,
  ): number | undefined {
    const before = last.get(key);
    return before === undefined ? this.#firstAfter(shardId, checkpoint, key) : before + 1;
  }

  #firstAfter(
    shardId: string,
    checkpoint: Checkpoint | undefined,
    key: string,
  ): number | undefined {
    const after = checkpoint?.kind === "position" ? checkpoint.sequenceNumber : "";
    return this.#shards
      .get(shardId)
      ?.find((put) => put.key === key && compareSequenceNumbers(put.sequenceNumber, after) > 0)
      ?.number;
  }
}

/** A record's data: its key, its number, and as much more as makes it so large. */
export function dataOf(key: string, number: number, bytes: number): Uint8Array {
  const head = Buffer.from(`${key}:${number};`);
  const data = new Uint8Array(Math.max(bytes, head.length));
  data.set(head);
  return data;
}

function partsOf(record: ConsumerRecord): [key: string, number: number] {
  const head = Buffer.from(record.data.subarray(0, 64)).toString();
  const [key, number] = head.slice(0, head.indexOf(";")).split(":");
  return [key!, Number(number)];
}
