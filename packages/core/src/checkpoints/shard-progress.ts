import type { Clock } from "../clock.ts";
import type { LeaseLostError } from "../errors.ts";
import type { Ahead } from "./ahead.ts";
import { decodeAhead } from "./ahead-text.ts";
import {
  checkpointAt,
  compareCheckpoints,
  comparePositions,
  shardEndAt,
  type Checkpoint,
  type Position,
} from "./position.ts";
import type { CheckpointWrite, Fence, SetCheckpointResult } from "./store.ts";

export interface ShardProgressOptions {
  readonly shardId: string;
  readonly fence: Fence | undefined;
  readonly acknowledged: Checkpoint | undefined;
  /** The shard's starting sequence number; undefined = not known. */
  readonly firstNumber: () => string | undefined;
  /** As in `StoreCapabilities`; 0 if the store does not keep `ahead`. */
  readonly maxAheadBytes: number;
  /** True if each write is awaited before the next record (`flushIntervalMs: 0`). */
  readonly writeThrough: boolean;
  /** The offset of this shard's ticks within the flush interval, in milliseconds. */
  readonly phaseMs: number;
  readonly maxUnflushedMs: number;
  readonly clock: Clock;
  readonly onDirty: (progress: ShardProgress) => void;
  readonly onFlush: (progress: ShardProgress) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * How far one shard's work is done, and how far the store has acknowledged it:
 * clean → (advance) dirty → (take, acknowledge) clean, or dirty again if more was done meanwhile;
 * any state → (lose, close) closed, after which nothing is written.
 */
export class ShardProgress {
  readonly shardId: string;
  readonly writeThrough: boolean;
  readonly phaseMs: number;
  /** When the checkpointer must write it, by the monotonic clock. */
  dueAt = Infinity;
  readonly #options: ShardProgressOptions;
  readonly #lost = new AbortController();
  /** The records that are done ahead of the position at which the shard was resumed; undefined = none known. */
  readonly resumed: Ahead | undefined;
  #sequenceNumber = "";
  #subSequenceNumber: number | undefined;
  /** The last stream record that is done as a whole; undefined = not known. */
  #whole: string | undefined;
  /** Encodes the records that are done ahead of a position. */
  #ahead: (position: Position) => string | undefined = () => undefined;
  #ends: (position: Position) => boolean = () => false;
  /** Set at the shard's end. */
  #end: Checkpoint | undefined;
  #dirtySince: number | undefined;
  /** When the pending write was taken, by the monotonic clock. */
  #takenAt = 0;
  /** The number of records done since the last acknowledged write, and how many the pending write includes. */
  #done = 0;
  #taken = 0;
  /** A counter of changes, and its value when the pending write was taken. */
  #changes = 0;
  #takenChanges = 0;
  #acknowledged: Checkpoint | undefined;
  #wasBehind = false;
  #closed: Error | undefined;
  #waiters: Waiter[] = [];

  constructor(options: ShardProgressOptions) {
    this.#options = options;
    this.shardId = options.shardId;
    this.writeThrough = options.writeThrough;
    this.phaseMs = options.phaseMs;
    const { acknowledged } = options;
    this.#acknowledged = acknowledged;
    this.#whole = wholeOf(acknowledged);
    if (acknowledged?.kind === "position" && acknowledged.ahead !== undefined) {
      this.resumed = decodeAhead(acknowledged, acknowledged.ahead);
    }
  }

  /** The most bytes of `ahead`; 0 if the store does not keep it. */
  get maxAheadBytes(): number {
    return this.#options.maxAheadBytes;
  }

  /** Sets the function that encodes the records done ahead of a position when a checkpoint is written. */
  aheadFrom(source: (position: Position) => string | undefined): void {
    if (this.#options.maxAheadBytes > 0) this.#ahead = source;
  }

  /** The `ahead` of a checkpoint at a position at or after the watermark: see `Checkpoint`. */
  aheadOf(position: Position): string | undefined {
    return this.#ahead(position);
  }

  /** Sets the function that knows which user records are the last of their aggregates. */
  endsFrom(source: (position: Position) => boolean): void {
    this.#ends = source;
  }

  /** Whether the in-flight record is the last one of its stream record: then that is done with it. */
  endsStreamRecord(position: Position): boolean {
    return position.subSequenceNumber === undefined || this.#ends(position);
  }

  /** The checkpoint that the store has acknowledged. */
  get acknowledged(): Checkpoint | undefined {
    return this.#acknowledged;
  }

  /** The checkpoint of the work that is done; undefined if none is. */
  get position(): Checkpoint | undefined {
    if (this.#end) return this.#end;
    return this.#sequenceNumber === "" ? undefined : this.#watermark;
  }

  /** The last stream record that is done as a whole, or the shard's starting number; undefined = not known. */
  get wholeSequenceNumber(): string | undefined {
    return this.#whole ?? this.#options.firstNumber();
  }

  /**
   * The store has this checkpoint, written by a transaction or by another process. What it covers is not
   * written again.
   */
  storeHas(stored: Checkpoint): void {
    if (this.knows(stored)) return;
    this.#acknowledged = stored;
  }

  /** Whether the store has acknowledged this checkpoint or a later one. */
  knows(stored: Checkpoint): boolean {
    return this.#acknowledged !== undefined && compareCheckpoints(stored, this.#acknowledged) <= 0;
  }

  /** Whether the store has all finished work. Called at a flush. */
  get isStored(): boolean {
    return this.#dirtySince === undefined || this.knows(this.#checkpoint());
  }

  /** How long finished work has waited for the store, in milliseconds. */
  unflushedForMs(now: number): number {
    return this.#dirtySince === undefined ? 0 : now - this.#dirtySince;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** True if the store was once ahead of this process. */
  get wasBehind(): boolean {
    return this.#wasBehind;
  }

  /** How many records of the last write needed no write of their own. */
  get coalesced(): number {
    return Math.max(0, this.#taken - 1);
  }

  /** True if a caller waits for the next acknowledgement. */
  get awaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Aborts, with a LeaseLostError, when the store refuses this worker's fence. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * This record and all before it are done. Called for each record: allocates nothing.
   * @param whole the last stream record that is done as a whole; "" if none is since the shard was resumed
   * @param records how many records the watermark has passed
   */
  advance(
    sequenceNumber: string,
    subSequenceNumber: number | undefined,
    whole: string,
    records: number,
  ): void {
    if (this.#closed) return;
    if (whole !== "") this.#whole = whole;
    this.#done += records;
    this.#changes += 1;
    // As in `Tracker.start`.
    if (subSequenceNumber === undefined || this.#sequenceNumber !== sequenceNumber) {
      this.#sequenceNumber = sequenceNumber;
    }
    this.#subSequenceNumber = subSequenceNumber;
    if (this.#dirtySince === undefined) this.#markDirty();
  }

  /** A record ahead of the position is done. Called for each record: allocates nothing. */
  touch(): void {
    if (this.#closed || this.#options.maxAheadBytes === 0) return;
    this.#changes += 1;
    if (this.#dirtySince === undefined && this.#hasWatermark) this.#markDirty();
  }

  /**
   * The shard was read to its end. Resolves when the store has acknowledged that. @throws as `flush`
   * @param sequenceNumber that of the last record; undefined = not known
   */
  end(sequenceNumber: string | undefined): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    this.#done += 1;
    this.#changes += 1;
    this.#end = shardEndAt(sequenceNumber);
    if (this.#dirtySince === undefined) this.#markDirty();
    return this.flush();
  }

  /** Resolves when all finished work is acknowledged. @throws KcError of the store; the reason of `close` */
  flush(): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (this.isStored) {
      this.#dirtySince = undefined;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#options.onFlush(this);
    });
  }

  /** True if finished work has waited so long for the store that no more should start (`maxUnflushedMs`). */
  overdue(now: number): boolean {
    return this.#dirtySince !== undefined && now - this.#dirtySince > this.#options.maxUnflushedMs;
  }

  /** Takes the write that stores all finished work. `acknowledge` must follow if it succeeds. */
  take(): CheckpointWrite {
    this.#takenAt = this.#options.clock.monotonic();
    this.#taken = this.#done;
    this.#takenChanges = this.#changes;
    const { shardId, fence } = this.#options;
    const checkpoint = this.#checkpoint();
    return fence === undefined ? { shardId, checkpoint } : { shardId, checkpoint, fence };
  }

  /** The store has acknowledged the taken write. Returns true if more was done meanwhile and must be written. */
  acknowledge({ outcome, stored }: SetCheckpointResult): boolean {
    this.storeHas(stored);
    this.#done -= this.#taken;
    this.#wasBehind ||= outcome === "behind";
    this.dueAt = Infinity;
    if (this.#takenChanges === this.#changes) {
      this.#dirtySince = undefined;
      for (const { resolve } of this.#settleWaiters()) resolve();
      return false;
    }
    this.#dirtySince = this.#takenAt;
    return !this.#closed;
  }

  /** The write failed permanently: rejects the pending calls of `flush`. */
  fail(error: Error): void {
    for (const { reject } of this.#settleWaiters()) reject(error);
  }

  /** The store has refused this worker's fence. */
  lose(error: LeaseLostError): void {
    this.close(error);
    this.#lost.abort(error);
  }

  /** From now on nothing is written, whatever an abandoned handler still reports. */
  close(reason: Error): void {
    this.#closed ??= reason;
    this.#dirtySince = undefined;
    this.fail(reason);
  }

  #markDirty(): void {
    this.#dirtySince = this.#options.clock.monotonic();
    this.#options.onDirty(this);
  }

  #checkpoint(): Checkpoint {
    if (this.#end) return this.#end;
    const position = this.#watermark;
    if (position.kind === "shard-end") return position;
    const ahead = this.#ahead(position);
    const checkpoint = ahead === undefined ? position : checkpointAt(position, ahead);
    // If not all runs fit, the furthest are left out. The store may then have a longer list.
    const stored = this.#acknowledged;
    const hasLonger =
      stored?.kind === "position" &&
      comparePositions(stored, position) === 0 &&
      compareCheckpoints(stored, checkpoint) > 0;
    return hasLonger ? stored : checkpoint;
  }

  get #hasWatermark(): boolean {
    return this.#sequenceNumber !== "" || this.#options.acknowledged?.kind === "position";
  }

  /** The last record before which all are finished; before there is one, the checkpoint resumed at. */
  get #watermark(): Checkpoint {
    if (this.#sequenceNumber === "") return this.#options.acknowledged!;
    const sequenceNumber = this.#sequenceNumber;
    const subSequenceNumber = this.#subSequenceNumber;
    if (subSequenceNumber === undefined) return checkpointAt({ sequenceNumber });
    const { wholeSequenceNumber } = this;
    return checkpointAt({ sequenceNumber, subSequenceNumber, wholeSequenceNumber });
  }

  #settleWaiters(): Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }
}

function wholeOf(checkpoint: Checkpoint | undefined): string | undefined {
  if (checkpoint?.kind !== "position") return undefined;
  const { sequenceNumber, subSequenceNumber, wholeSequenceNumber } = checkpoint;
  return subSequenceNumber === undefined ? sequenceNumber : wholeSequenceNumber;
}
