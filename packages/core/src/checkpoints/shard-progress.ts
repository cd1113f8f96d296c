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
  /** The number that the shard's records begin with; undefined = not known. */
  readonly firstNumber: () => string | undefined;
  /** As in `StoreCapabilities`; 0 = the store keeps no `ahead`. */
  readonly maxAheadBytes: number;
  /** Each write is awaited before the next record (`flushIntervalMs: 0`). */
  readonly writeThrough: boolean;
  /** This shard's moment within the flush interval. */
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
 * How far one shard's work is done, and how far the store knows it:
 * clean → (advance) dirty → (taken, acknowledged) clean, or dirty again if more was done meanwhile;
 * from anywhere → (lost, closed) over, after which nothing is written.
 */
export class ShardProgress {
  readonly shardId: string;
  readonly writeThrough: boolean;
  readonly phaseMs: number;
  /** When the checkpointer is to write it, by the monotonic clock. */
  dueAt = Infinity;
  readonly #options: ShardProgressOptions;
  readonly #lost = new AbortController();
  /** What is done beyond the position that the shard was resumed at; undefined = nothing is known to be. */
  readonly resumed: Ahead | undefined;
  #sequenceNumber = "";
  #subSequenceNumber: number | undefined;
  /** The last record that is done as a whole; undefined = not known. */
  #whole: string | undefined;
  /** What is done beyond the position. */
  #ahead: (position: Position) => string | undefined = () => undefined;
  #ends: (position: Position) => boolean = () => false;
  /** Set by the shard's end. */
  #end: Checkpoint | undefined;
  #dirtySince: number | undefined;
  #takenAt = 0;
  /** How many were done since the write before, and of these, how many the last one took. */
  #done = 0;
  #taken = 0;
  /** Grows with each change; and how far it had grown when the last write was taken. */
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

  /** Most bytes of what is done beyond the position; 0 = the store does not keep it. */
  get maxAheadBytes(): number {
    return this.#options.maxAheadBytes;
  }

  /** Where the text of what is done beyond the position is to be had, when it is written. */
  aheadFrom(source: (position: Position) => string | undefined): void {
    if (this.#options.maxAheadBytes > 0) this.#ahead = source;
  }

  /** What is known to be done beyond a position, which the watermark is at or before: see `Checkpoint`. */
  aheadOf(position: Position): string | undefined {
    return this.#ahead(position);
  }

  /** Who knows which user records are the last of their aggregates. */
  endsFrom(source: (position: Position) => boolean): void {
    this.#ends = source;
  }

  /** Is the record, which is in flight, the last one of its stream record? With it that is done. */
  endsStreamRecord(position: Position): boolean {
    return position.subSequenceNumber === undefined || this.#ends(position);
  }

  /** What the store has acknowledged. */
  get acknowledged(): Checkpoint | undefined {
    return this.#acknowledged;
  }

  /** The last that is done; undefined = nothing was. */
  get position(): Checkpoint | undefined {
    if (this.#end) return this.#end;
    return this.#sequenceNumber === "" ? undefined : this.#watermark;
  }

  /** The last record that is done as a whole, or what the shard's records begin with; undefined = not known. */
  get wholeSequenceNumber(): string | undefined {
    return this.#whole ?? this.#options.firstNumber();
  }

  /**
   * The store has this checkpoint, in a transaction of its own or another's: what it covers is not written
   * again.
   */
  storeHas(stored: Checkpoint): void {
    if (this.knows(stored)) return;
    this.#acknowledged = stored;
  }

  /** Has the store acknowledged this checkpoint, or a later one? */
  knows(stored: Checkpoint): boolean {
    return this.#acknowledged !== undefined && compareCheckpoints(stored, this.#acknowledged) <= 0;
  }

  /** Does the store have all that is done? Asked at a flush. */
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

  /** Has the store once been found further on than we are? */
  get wasBehind(): boolean {
    return this.#wasBehind;
  }

  /** Of what the last write took, how many needed none of their own. */
  get coalesced(): number {
    return Math.max(0, this.#taken - 1);
  }

  /** Does a caller wait for the next acknowledgement? */
  get awaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Aborts, with a LeaseLostError, when the store refuses this worker's fence. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * This record, and all before it, are done. Called for each record: no allocation.
   * @param whole the last stream record that is done as a whole; "" = none since the shard was resumed
   * @param records how many are done that were not
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

  /** A record beyond the position is done. Called for each record: no allocation. */
  touch(): void {
    if (this.#closed || this.#options.maxAheadBytes === 0) return;
    this.#changes += 1;
    if (this.#dirtySince === undefined && this.#hasWatermark) this.#markDirty();
  }

  /**
   * The shard was read to its end: resolves once the store knows. @throws as `flush`
   * @param sequenceNumber the last record's; undefined = not known
   */
  end(sequenceNumber: string | undefined): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    this.#done += 1;
    this.#changes += 1;
    this.#end = shardEndAt(sequenceNumber);
    if (this.#dirtySince === undefined) this.#markDirty();
    return this.flush();
  }

  /** Resolves once all that is done is acknowledged. @throws KcError of the store, or of what closed it */
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

  /** Has finished work waited for the store for so long that no more should be begun? */
  overdue(now: number): boolean {
    return this.#dirtySince !== undefined && now - this.#dirtySince > this.#options.maxUnflushedMs;
  }

  /** The write that would bring the store up to now. */
  take(): CheckpointWrite {
    this.#takenAt = this.#options.clock.monotonic();
    this.#taken = this.#done;
    this.#takenChanges = this.#changes;
    const { shardId, fence } = this.#options;
    const checkpoint = this.#checkpoint();
    return fence === undefined ? { shardId, checkpoint } : { shardId, checkpoint, fence };
  }

  /** The store answered to the write that was taken last. True = more was done meanwhile, and is to be written. */
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

  /** The store will not take it. */
  fail(error: Error): void {
    for (const { reject } of this.#settleWaiters()) reject(error);
  }

  lose(error: LeaseLostError): void {
    this.close(error);
    this.#lost.abort(error);
  }

  /** From here on nothing is written, whatever a handler that was given up still reports. */
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
    // Of many runs the furthest do not fit, and the store may know of more.
    const stands = this.#acknowledged;
    const knowsMore =
      stands?.kind === "position" &&
      comparePositions(stands, position) === 0 &&
      compareCheckpoints(stands, checkpoint) > 0;
    return knowsMore ? stands : checkpoint;
  }

  get #hasWatermark(): boolean {
    return this.#sequenceNumber !== "" || this.#options.acknowledged?.kind === "position";
  }

  /** The last record that is done with all before it; before there is one, where the shard was resumed. */
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
