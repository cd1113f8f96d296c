import type { Ahead } from "../checkpoints/ahead.ts";
import { encodeAhead } from "../checkpoints/ahead-text.ts";
import { comparePositions, type Position } from "../checkpoints/position.ts";
import { Runs } from "../checkpoints/runs.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";

/** So many records of a shard, from the watermark on, are remembered at most. */
const MOST_RECORDS = 100_000;
/** What a run takes in the text, until one was written. */
const RUN_BYTES = 5;
/** What the text takes beside its runs. */
const HEAD_BYTES = 40;

/** The records from the watermark on, in order. */
export interface OpenRecords {
  /** The newest record's number; undefined = there was none. */
  readonly newest: string | undefined;
  each(
    use: (
      sequenceNumber: string,
      subSequenceNumber: number | undefined,
      endsStreamRecord: boolean,
      done: boolean,
    ) => void,
  ): void;
}

/**
 * What is done beyond the watermark of one shard: by the checkpoint that it was resumed at, and since.
 * The text for the checkpoint is made when the checkpoint is written; for each record it is only
 * counted how many runs there are, so that records which would make the text too long do not start.
 */
export class Beyond {
  readonly #progress: ShardProgress;
  readonly #records: OpenRecords;
  /** Records that were done before this process read the shard, and have not all been met. */
  #resumed: Ahead | undefined;
  /** How many of them were not met yet. */
  #unmet: number;
  /** Runs of done records beyond the watermark. */
  #runs = 0;
  #runBytes = RUN_BYTES;
  /** The last record that is done. */
  #furthest = -1;

  constructor(progress: ShardProgress, records: OpenRecords) {
    this.#progress = progress;
    this.#records = records;
    this.#resumed = progress.resumed;
    this.#unmet = progress.resumed?.count ?? 0;
    progress.aheadFrom((position) => this.#text(position));
  }

  /** May records that were read be done already? */
  get isResumed(): boolean {
    return this.#resumed !== undefined;
  }

  /** Was this record done before the shard was resumed? */
  includes(sequenceNumber: string, subSequenceNumber: number | undefined): boolean {
    if (this.#resumed?.isBehind(sequenceNumber)) this.#resumed = undefined;
    return this.#resumed?.includes(sequenceNumber, subSequenceNumber) ?? false;
  }

  /** A record that was done before has been met. */
  met(): void {
    this.#unmet = Math.max(0, this.#unmet - 1);
  }

  /** A record beyond the watermark is done; so many runs came or went. */
  done(ordinal: number, runs: number): void {
    this.#runs += runs;
    if (ordinal > this.#furthest) this.#furthest = ordinal;
  }

  /** The watermark has passed so many runs. */
  passed(runs: number): void {
    this.#runs -= runs;
  }

  /**
   * May a record start, of so many from the watermark on? One before the furthest done record always
   * may: it makes the text shorter in the end. Others may while the text is well below its bound.
   */
  mayStart(ordinal: number, fromWatermark: number): boolean {
    if (ordinal < this.#furthest) return true;
    if (fromWatermark >= MOST_RECORDS) return false;
    const { maxAheadBytes } = this.#progress;
    // Without a run there is no text, however little a store keeps.
    if (maxAheadBytes === 0 || this.#runs === 0) return true;
    return HEAD_BYTES + this.#runs * this.#runBytes < 0.75 * maxAheadBytes;
  }

  /** @param position the watermark, or one that a transaction is about to move it to */
  #text(position: Position): string | undefined {
    // Asked once a batch, of as many records as are in hand.
    if (this.#runs === 0 && this.#resumed === undefined) return undefined;
    const runs = new Runs();
    this.#records.each((sequenceNumber, sub, ends, done) => {
      const at =
        sub === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: sub };
      if (comparePositions(at, position) > 0) runs.add(sequenceNumber, sub, ends, done);
    });
    const last = this.#records.newest ?? position.sequenceNumber;
    if (this.#resumed?.isBehind(last)) this.#resumed = undefined;
    const all = runs.end(position, last, this.#resumed, this.#unmet);
    const text = encodeAhead(position, all, this.#progress.maxAheadBytes);
    if (text !== undefined && this.#runs > 0) this.#runBytes = text.length / this.#runs;
    return text;
  }
}
