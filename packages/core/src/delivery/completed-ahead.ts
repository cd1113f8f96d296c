import type { Ahead } from "../checkpoints/ahead.ts";
import { encodeAhead } from "../checkpoints/ahead-text.ts";
import { comparePositions, type Position } from "../checkpoints/position.ts";
import { Runs } from "../checkpoints/runs.ts";
import type { ShardProgress } from "../checkpoints/shard-progress.ts";

/** The most records of a shard that are tracked from the watermark on. */
const MAX_RECORDS = 100_000;
/** The estimated size of a run in the text, until a text was written. */
const RUN_BYTES = 5;
/** The size of the text without its runs. */
const HEAD_BYTES = 40;

/** Called for a record from the watermark on. */
export type OpenRecordVisitor = (
  sequenceNumber: string,
  subSequenceNumber: number | undefined,
  endsStreamRecord: boolean,
  done: boolean,
) => void;

/** The records from the watermark on, in order. */
export interface OpenRecords {
  /** The newest record's sequence number; undefined if there was none. */
  readonly newest: string | undefined;
  each(visit: OpenRecordVisitor): void;
}

/**
 * The records of one shard that are done ahead of the watermark: those that the checkpoint lists at which
 * the shard was resumed, and those done since. The text for the checkpoint is encoded only when a checkpoint
 * is written. For each record only the number of runs is counted, so that records that would make the text
 * too long do not start.
 */
export class CompletedAhead {
  readonly #progress: ShardProgress;
  readonly #records: OpenRecords;
  /** The records that were done before the shard was resumed, until all of them were read again. */
  #resumed: Ahead | undefined;
  /** How many of them were not read again yet. */
  #unread: number;
  /** The number of runs of done records ahead of the watermark. */
  #runs = 0;
  #runBytes = RUN_BYTES;
  /** The ordinal of the furthest record that is done. */
  #furthest = -1;

  constructor(progress: ShardProgress, records: OpenRecords) {
    this.#progress = progress;
    this.#records = records;
    this.#resumed = progress.resumed;
    this.#unread = progress.resumed?.count ?? 0;
    progress.aheadFrom((position) => this.#text(position));
  }

  /** Whether records that are read now may have been done before the shard was resumed. */
  get isResumed(): boolean {
    return this.#resumed !== undefined;
  }

  /** Whether this record was done before the shard was resumed. */
  includes(sequenceNumber: string, subSequenceNumber: number | undefined): boolean {
    if (this.#resumed?.isBehind(sequenceNumber)) this.#resumed = undefined;
    return this.#resumed?.includes(sequenceNumber, subSequenceNumber) ?? false;
  }

  /** A record that was done before the shard was resumed was read again. */
  found(): void {
    this.#unread = Math.max(0, this.#unread - 1);
  }

  /** A record ahead of the watermark is done. @param runs by how many the number of runs has changed */
  done(ordinal: number, runs: number): void {
    this.#runs += runs;
    if (ordinal > this.#furthest) this.#furthest = ordinal;
  }

  /** The watermark has passed this many runs. */
  passed(runs: number): void {
    this.#runs -= runs;
  }

  /**
   * Whether a record may start. A record before the furthest done one always may, since it makes the text
   * shorter in the end. Others may while the text is well below its bound.
   * @param fromWatermark the record's distance from the watermark
   */
  mayStart(ordinal: number, fromWatermark: number): boolean {
    if (ordinal < this.#furthest) return true;
    if (fromWatermark >= MAX_RECORDS) return false;
    const { maxAheadBytes } = this.#progress;
    // Without a run there is no text, so it fits even if the store keeps very little.
    if (maxAheadBytes === 0 || this.#runs === 0) return true;
    return HEAD_BYTES + this.#runs * this.#runBytes < 0.75 * maxAheadBytes;
  }

  /** @param position the watermark, or the position to which a transaction is about to move it */
  #text(position: Position): string | undefined {
    // The usual case with transactions, which ask once a batch: spares the loop over all records in flight.
    if (this.#runs === 0 && this.#resumed === undefined) return undefined;
    const runs = new Runs();
    this.#records.each((sequenceNumber, sub, ends, done) => {
      const at =
        sub === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: sub };
      if (comparePositions(at, position) > 0) runs.add(sequenceNumber, sub, ends, done);
    });
    const last = this.#records.newest ?? position.sequenceNumber;
    if (this.#resumed?.isBehind(last)) this.#resumed = undefined;
    const all = runs.end(position, last, this.#resumed, this.#unread);
    const text = encodeAhead(position, all, this.#progress.maxAheadBytes);
    if (text !== undefined && this.#runs > 0) this.#runBytes = text.length / this.#runs;
    return text;
  }
}
