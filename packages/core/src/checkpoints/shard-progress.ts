import type { Clock } from "../clock.ts";
import type { LeaseLostError } from "../errors.ts";
import { checkpointAt, compareCheckpoints, shardEndAt, type Checkpoint } from "./position.ts";
import type { CheckpointWrite, Fence, SetCheckpointResult } from "./store.ts";

export interface ShardProgressOptions {
  readonly shardId: string;
  readonly fence: Fence | undefined;
  readonly acknowledged: Checkpoint | undefined;
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
  #sequenceNumber = "";
  #subSequenceNumber: number | undefined;
  /** Set by the shard's end. */
  #end: Checkpoint | undefined;
  #dirtySince: number | undefined;
  #takenAt = 0;
  /** How many were done since the write before, and of these, how many the last one took. */
  #done = 0;
  #taken = 0;
  #acknowledged: Checkpoint | undefined;
  #wasBehind = false;
  #closed: Error | undefined;
  #waiters: Waiter[] = [];

  constructor(options: ShardProgressOptions) {
    this.#options = options;
    this.shardId = options.shardId;
    this.writeThrough = options.writeThrough;
    this.phaseMs = options.phaseMs;
    this.#acknowledged = options.acknowledged;
  }

  /** What the store has acknowledged. */
  get acknowledged(): Checkpoint | undefined {
    return this.#acknowledged;
  }

  /** The last that is done; undefined = nothing was. */
  get position(): Checkpoint | undefined {
    return this.#end || this.#sequenceNumber !== "" ? this.#checkpoint() : undefined;
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
   * @param records how many are done that were not
   */
  advance(sequenceNumber: string, subSequenceNumber: number | undefined, records: number): void {
    if (this.#closed) return;
    this.#done += records;
    this.#sequenceNumber = sequenceNumber;
    this.#subSequenceNumber = subSequenceNumber;
    if (this.#dirtySince === undefined) this.#markDirty();
  }

  /**
   * The shard was read to its end: resolves once the store knows. @throws as `flush`
   * @param sequenceNumber the last record's; undefined = not known
   */
  end(sequenceNumber: string | undefined): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    this.#done += 1;
    this.#end = shardEndAt(sequenceNumber);
    if (this.#dirtySince === undefined) this.#markDirty();
    return this.flush();
  }

  /** Resolves once all that is done is acknowledged. @throws KcError of the store, or of what closed it */
  flush(): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (this.#dirtySince === undefined) return Promise.resolve();
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
    const { shardId, fence } = this.#options;
    const checkpoint = this.#checkpoint();
    return fence === undefined ? { shardId, checkpoint } : { shardId, checkpoint, fence };
  }

  /** The store answered to `written`. True = more was done meanwhile, and is to be written. */
  acknowledge(written: Checkpoint, { outcome, stored }: SetCheckpointResult): boolean {
    this.#acknowledged = stored;
    this.#done -= this.#taken;
    this.#wasBehind ||= outcome === "behind";
    this.dueAt = Infinity;
    if (this.#isCurrent(written)) {
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
    const sequenceNumber = this.#sequenceNumber;
    const subSequenceNumber = this.#subSequenceNumber;
    return checkpointAt(
      subSequenceNumber === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber },
    );
  }

  #isCurrent(written: Checkpoint): boolean {
    return compareCheckpoints(written, this.#checkpoint()) === 0;
  }

  #settleWaiters(): Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    return waiters;
  }
}
