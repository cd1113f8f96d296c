import {
  comparePositions,
  compareSequenceNumbers,
  type AcquiredLease,
  type Checkpoint,
  type CheckpointWrite,
  type DeadLetter,
  type DeadLetterReason,
  type Fence,
  type Position,
} from "@kc/core";
import type { Call, Outcome } from "./call.ts";
import type { DeliveryPlan } from "./delivery-plan.ts";
import { headOf, positionOf, Puts, type PutRecord } from "./puts.ts";
import { Reading } from "./reading.ts";
import { Violation } from "./violation.ts";

/** One worker's lease of one shard, as its handler sees it. */
interface Grant {
  readonly workerId: string;
  readonly shardId: string;
  readonly epoch: number;
  reading: Reading;
  /** The number of records that were started after the worker's own deadline. */
  late: number;
  /**
   * True if the store has lost writes since: the same lease may be granted to the same worker
   * again.
   */
  wentBack: boolean;
  /** Set if it was granted again, so that reading may have restarted: the reading in that case. */
  again: { reading: Reading; readonly restart: () => Reading } | undefined;
  /** True if the store has lost this grant: its epoch may be granted again. */
  isVoid: boolean;
  /** True if its worker hands the shard over: no further record may start. */
  isHandedOver: boolean;
}

/**
 * How many records may start after a deadline: none, because handlers are async, and the clock is
 * checked after each.
 */
const LATE_RECORDS = 0;

/** The records that were put and their states. Checks each event when it happens. */
export class Ledger {
  readonly puts = new Puts();
  readonly #plan: DeliveryPlan;
  readonly #finished = new Set<PutRecord>();
  readonly #started = new Set<PutRecord>();
  /** Running calls, by the unit (key or record) that must be handled by one call at a time. */
  readonly #running = new Map<string, Set<Call>>();
  readonly #grants = new Map<string, Grant>();
  /** Handlers that began while two workers might hold one lease. */
  readonly #begunInDoubt = new WeakSet<Call>();
  /** The records that were done when a checkpoint was created. */
  readonly #writes = new WeakMap<CheckpointWrite, ReadonlySet<PutRecord>>();
  /** The records that were done by then, by the text of each written checkpoint. */
  readonly #flushed = new Map<string, Set<PutRecord>>();
  /** The number of user records of other shards that workers omitted and counted, by shard. */
  readonly #leftOut = new Map<string, number>();
  /** The last whole record of each shard in the store. */
  readonly #wholes = new Map<string, string>();
  readonly #now: () => number;
  /**
   * Until then overlaps are allowed, because the store has lost writes, and two workers may hold
   * one lease.
   */
  lenientUntil = -Infinity;
  repeats = 0;

  constructor(plan: DeliveryPlan, now: () => number) {
    this.#plan = plan;
    this.#now = now;
  }

  get lenient(): boolean {
    return this.#now() < this.lenientUntil;
  }

  /** Called when the store has granted a lease, or has returned an existing one again. */
  granted(workerId: string, { shardId, fence, checkpoint }: AcquiredLease): void {
    const id = idOf(shardId, fence);
    for (const [other, grant] of this.#grants) {
      const same = grant.shardId === shardId && grant.epoch === fence.epoch && other !== id;
      if (same && !grant.isVoid) {
        throw new Violation(
          `${shardId}: epoch ${fence.epoch} was granted to ${other} and to ${id}`,
        );
      }
    }
    const flushed = this.#flushed.get(textOf(shardId, checkpoint)) ?? new Set();
    const isFinished = (record: PutRecord): boolean => this.#finished.has(record);
    const begin = (): Reading => new Reading(this.#plan, checkpoint, flushed, isFinished);
    const known = this.#grants.get(id);
    if (known?.wentBack === true) known.again = { reading: begin(), restart: begin };
    if (known !== undefined && !known.reading.isUntouched && !known.isVoid) return;
    this.#grants.set(id, {
      workerId,
      shardId,
      epoch: fence.epoch,
      reading: begin(),
      late: 0,
      wentBack: false,
      again: undefined,
      isVoid: false,
      isHandedOver: false,
    });
  }

  /** Called when a worker begins to hand over the shard. */
  handingOver(workerId: string, shardId: string): void {
    const newest = this.#grantsOf(workerId, shardId).find(({ isVoid }) => !isVoid);
    if (newest !== undefined) newest.isHandedOver = true;
  }

  /** Called when all records so far have expired, handled or not. */
  trim(): void {
    for (const record of this.puts.trim()) {
      this.#started.add(record);
      this.#finished.add(record);
    }
  }

  /**
   * Called when the store has lost writes: it does not know grants with later epochs than these.
   */
  wentBack(epochs: ReadonlyMap<string, number>): void {
    this.#wholes.clear();
    for (const grant of this.#grants.values()) {
      grant.wentBack = true;
      if (grant.epoch > (epochs.get(grant.shardId) ?? 0)) grant.isVoid = true;
    }
  }

  /** Called when the handler is called. @param fence the fence of its context */
  started(call: Call, shardId: string, fence: Fence | undefined): void {
    const what = `${call.workerId}: ${call.records.map(({ id }) => id).join()} of ${shardId}`;
    const grant = fence && this.#grants.get(idOf(shardId, fence));
    if (grant === undefined) throw new Violation(`${what} is read without a lease`);
    if (grant.isHandedOver) throw new Violation(`${what} starts while the shard is handed over`);
    for (const record of call.records) {
      const before = this.#unfinishedElsewhere(record);
      if (before !== undefined) throw new Violation(`${what} came before ${before.id} was handled`);
      if (this.#started.has(record) && !grant.reading.has(record)) this.repeats += 1;
      this.#started.add(record);
    }
    this.#read(grant, call, what);
    if (call.isZombie && (grant.late += 1) > LATE_RECORDS) {
      throw new Violation(`${what} is the ${grant.late}th record past the deadline`);
    }
    this.#checkOverlaps(call, what);
    if (this.lenient) this.#begunInDoubt.add(call);
  }

  /** Called when the handler returns or fails. */
  ended(call: Call, outcomeOf: (record: PutRecord) => Outcome): void {
    for (const record of call.records) {
      this.#running.get(this.#turnOf(record))?.delete(call);
      const { kind } = outcomeOf(record);
      if (kind === "done" || kind === "unknown") this.#finished.add(record);
    }
    for (const { reading, again } of this.#grants.values()) {
      reading.end(call, outcomeOf, this.#now());
      again?.reading.end(call, outcomeOf, this.#now());
    }
  }

  /** Called when the worker reports that it gives a record up. @param now by its wall clock */
  gaveUp(workerId: string, record: PutRecord, reason: DeadLetterReason, now: number): void {
    const { shardId } = record;
    const isSkipped = this.#plan.onFailure === "skip";
    const what = `${workerId}: ${record.id} of ${shardId}`;
    let wrong: string | undefined = "is given up without a lease";
    for (const grant of this.#grantsOf(workerId, shardId)) {
      for (const { reading } of [grant, ...(grant.again ? [grant.again] : [])]) {
        wrong = reading.giveUp(record, reason, now - record.arrivedAt, isSkipped, this.#now());
        if (wrong !== undefined) continue;
        if (isSkipped) this.#finished.add(record);
        return;
      }
    }
    throw new Violation(`${what} ${wrong}`);
  }

  /** Called when the queue has stored these letters, whether or not the sender gets the answer. */
  lettersHeld(letters: readonly DeadLetter[]): void {
    for (const letter of letters) {
      const record = this.puts.at(letter.shardId, positionOf(letter));
      const grants = [...this.#grants.values()];
      const isGivenUp = grants.some(
        (grant) => grant.reading.isGivenUp(record) || grant.again?.reading.isGivenUp(record),
      );
      const isDone = this.#finished.has(record);
      if (!isGivenUp && !isDone)
        throw new Violation(`${record.id} has a letter, and was not given up`);
      if (headOf(letter.data ?? new Uint8Array()) !== record.head) {
        throw new Violation(`${record.id}'s letter has other data`);
      }
      this.#finished.add(record);
    }
  }

  /** Called when the sender gets the answer. */
  lettersAcknowledged(workerId: string, letters: readonly DeadLetter[]): void {
    for (const letter of letters) {
      const record = this.puts.at(letter.shardId, positionOf(letter));
      for (const { reading, again } of this.#grantsOf(workerId, letter.shardId)) {
        reading.acknowledge(record, this.#now());
        again?.reading.acknowledge(record, this.#now());
      }
    }
  }

  /** Called when checkpoints are sent. */
  checkpointing(writes: readonly CheckpointWrite[]): void {
    for (const write of writes) {
      const { shardId, fence } = write;
      const grant = fence && this.#grants.get(idOf(shardId, fence));
      if (grant === undefined || grant.again !== undefined) continue;
      this.#writes.set(write, grant.reading.done(this.#now()));
    }
  }

  /** Called when a checkpoint was written. */
  checkpointed(write: CheckpointWrite): void {
    const { shardId, checkpoint } = write;
    for (const record of this.puts.of(shardId)) {
      if (isCovered(record, checkpoint) && this.#isMissing(record)) {
        throw new Violation(`${shardId}: a checkpoint covers ${record.id}, which is not finished`);
      }
    }
    this.#checkWhole(shardId, checkpoint);
    // With a short limit, some done records are omitted.
    if (this.#plan.maxAheadBytes !== undefined) return;
    const text = textOf(shardId, checkpoint);
    const known = this.#flushed.get(text) ?? new Set();
    for (const record of this.#writes.get(write) ?? []) known.add(record);
    this.#flushed.set(text, known);
  }

  /** Called when the worker counts omitted user records of other shards. */
  leftOut(shardId: string, count: number): void {
    if (!this.puts.of(shardId).some(({ mayBeLeftOut }) => mayBeLeftOut === true)) {
      throw new Violation(`${shardId}: ${count} user records are left out, and none is another's`);
    }
    this.#leftOut.set(shardId, (this.#leftOut.get(shardId) ?? 0) + count);
  }

  /** The records that are not handled yet. */
  unfinished(): string[] {
    return [...this.puts].flatMap((record) => (this.#isMissing(record) ? [record.id] : []));
  }

  /** The user records of other shards that were neither handled nor counted. */
  leftOutInSilence(): string[] {
    const left = [...this.puts].filter(
      (record) => record.mayBeLeftOut === true && !this.#finished.has(record),
    );
    const shards = [...new Set(left.map(({ shardId }) => shardId))];
    return shards.filter((shardId) => {
      const count = left.filter((record) => record.shardId === shardId).length;
      return (this.#leftOut.get(shardId) ?? 0) < count;
    });
  }

  #isMissing(record: PutRecord): boolean {
    return record.mayBeLeftOut !== true && !this.#finished.has(record);
  }

  /**
   * Checks the number after which a reader that knows only sequence numbers continues: it must
   * never go back, nor lie inside an aggregate.
   */
  #checkWhole(shardId: string, checkpoint: Checkpoint): void {
    const isInside = checkpoint.kind === "position" && checkpoint.subSequenceNumber !== undefined;
    const whole = isInside ? checkpoint.wholeSequenceNumber : checkpoint.sequenceNumber;
    const before = this.#wholes.get(shardId);
    if (checkpoint.kind === "shard-end" && whole === undefined) return;
    if (whole === undefined) throw new Violation(`${shardId}: no last whole record is known`);
    if (before !== undefined && compareSequenceNumbers(whole, before) < 0) {
      throw new Violation(`${shardId}: the last whole record goes back from ${before} to ${whole}`);
    }
    if (isInside && compareSequenceNumbers(whole, checkpoint.sequenceNumber) >= 0) {
      throw new Violation(`${shardId}: the last whole record is one that is done in part`);
    }
    this.#wholes.set(shardId, whole);
  }

  /** Newest first. */
  #grantsOf(workerId: string, shardId: string): readonly Grant[] {
    return (
      [...this.#grants.values()]
        .filter((grant) => grant.workerId === workerId && grant.shardId === shardId)
        // After the store has lost writes, an epoch may be granted twice.
        .toReversed()
        .toSorted((a, b) => b.epoch - a.epoch)
    );
  }

  /**
   * An earlier record of the key in another shard that is not finished: shards must be read in
   * order.
   */
  #unfinishedElsewhere({ key, number, shardId }: PutRecord): PutRecord | undefined {
    const earlier = this.puts.ofKey(key).slice(0, number - 1);
    return earlier.findLast((one) => one.shardId !== shardId && !this.#finished.has(one));
  }

  #read(grant: Grant, call: Call, what: string): void {
    const { again } = grant;
    const now = this.#now();
    if (again?.reading.start(call, now) !== undefined) again.reading = again.restart();
    const wrong = grant.reading.start(call, now);
    if (wrong === undefined) return;
    if (again === undefined || again.reading.isUntouched) throw new Violation(`${what} ${wrong}`);
    Object.assign(grant, { reading: again.reading, again: undefined });
  }

  #checkOverlaps(call: Call, what: string): void {
    for (const record of call.records) {
      const turn = this.#turnOf(record);
      const running = this.#running.get(turn) ?? new Set();
      this.#running.set(turn, running);
      for (const other of running) {
        if (other === call || other.signal.aborted || other.isZombie || this.lenient) continue;
        // A replaced worker may start a few more records, which are counted above.
        if (this.#begunInDoubt.has(other) || call.isZombie) continue;
        throw new Violation(`${what} was started while ${other.workerId} was at ${turn}`);
      }
      running.add(call);
    }
  }

  /** The unit that must be handled by one call at a time. */
  #turnOf({ key, id }: PutRecord): string {
    return this.#plan.ordering === "none" ? id : key;
  }
}

function isCovered(record: Position, checkpoint: Checkpoint): boolean {
  return checkpoint.kind === "shard-end" || comparePositions(record, checkpoint) <= 0;
}

function idOf(shardId: string, { owner, epoch }: Fence): string {
  return `${shardId} ${owner} ${epoch}`;
}

function textOf(shardId: string, checkpoint: Checkpoint | undefined): string {
  return JSON.stringify([shardId, checkpoint]);
}
