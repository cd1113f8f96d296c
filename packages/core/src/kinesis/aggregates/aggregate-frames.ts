import { markAsUntransferable } from "node:worker_threads";
import { sharedMd5 } from "../md5/md5.ts";
import type { PageRecords } from "../page-records.ts";
import { MAGIC_BYTES } from "./magic.ts";

/** An aggregate ends in the MD5 of its message. */
export const DIGEST_BYTES = 16;

/** So many records are looked at together: a number has as many bits. */
const TOGETHER = 32;
/** Of aggregates with more bytes than this, the rest is left for later: other shards wait meanwhile. */
const ENOUGH_BYTES = 2 ** 20;

/**
 * Which records of a page are in the frame of a KPL aggregate: the magic in front, the MD5 behind. It is found
 * for several records at once, which takes a fifth of the time.
 */
export class AggregateFrames {
  readonly #records: PageRecords;
  /** The records that were looked at last, and for each of them a bit. */
  #from = 0;
  #to = 0;
  #framed = 0;
  /** The memory that was marked last: that of the page, or of one record. */
  #marked: ArrayBufferLike | undefined;

  constructor(records: PageRecords) {
    this.#records = records;
  }

  isFramed(index: number): boolean {
    if (index < this.#from || index >= this.#to) this.#look(index);
    return ((this.#framed >>> (index - this.#from)) & 1) === 1;
  }

  #look(from: number): void {
    const records = this.#records;
    const last = Math.min(from + TOGETHER, records.length);
    const found: { readonly index: number; readonly data: Uint8Array }[] = [];
    let bytes = 0;
    let index = from;
    for (; index < last && bytes < ENOUGH_BYTES; index += 1) {
      const data = records.beginsLikeAggregate(index) ? records.data(index) : undefined;
      if (data === undefined || data.byteLength <= MAGIC_BYTES + DIGEST_BYTES) continue;
      bytes += data.byteLength;
      found.push({ index, data });
    }
    this.#from = from;
    this.#to = index;
    this.#framed = 0;
    if (found.length === 0) return;
    const md5 = sharedMd5();
    for (const { data } of found) md5.add(data, MAGIC_BYTES, data.byteLength - DIGEST_BYTES);
    md5.digest();
    for (const [i, { index: at, data }] of found.entries()) {
      if (!md5.is(i, data, data.byteLength - DIGEST_BYTES)) continue;
      this.#framed |= 1 << (at - from);
      this.#mark(data.buffer);
    }
  }

  /** One user record's data, handed over to a worker thread, would take the others with it. */
  #mark(memory: ArrayBufferLike): void {
    if (memory === this.#marked) return;
    this.#marked = memory;
    markAsUntransferable(memory);
  }
}
