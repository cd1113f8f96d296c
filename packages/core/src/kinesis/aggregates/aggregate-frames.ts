import { markAsUntransferable } from "node:worker_threads";
import { sharedMd5 } from "../md5/md5.ts";
import type { PageRecords } from "../page-records.ts";
import { MAGIC_BYTES } from "./magic.ts";

/** An aggregate ends with the MD5 of its message. */
export const DIGEST_BYTES = 16;

/** Number of records that are checked together, one bit of a number for each. */
const MAX_CHECKED = 32;
/** After this many bytes, the other records are checked later, so that other shards get their turn. */
const MAX_BYTES_CHECKED = 2 ** 20;

/**
 * Finds the records of a page that have the frame of a KPL aggregate: the magic number, a message, and its MD5.
 * Digesting several records together takes a fifth of the time.
 */
export class AggregateFrames {
  readonly #records: PageRecords;
  /** The range of records that was checked last, and a bit for each: 1 = it has the frame. */
  #from = 0;
  #to = 0;
  #framed = 0;
  /** The memory that was marked last: the page's, or one record's. */
  #marked: ArrayBufferLike | undefined;

  constructor(records: PageRecords) {
    this.#records = records;
  }

  isFramed(index: number): boolean {
    if (index < this.#from || index >= this.#to) this.#check(index);
    return ((this.#framed >>> (index - this.#from)) & 1) === 1;
  }

  #check(from: number): void {
    const records = this.#records;
    const last = Math.min(from + MAX_CHECKED, records.length);
    const found: { readonly index: number; readonly data: Uint8Array }[] = [];
    let bytes = 0;
    let index = from;
    for (; index < last && bytes < MAX_BYTES_CHECKED; index += 1) {
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

  /** Transferring one user record's data to a worker thread would detach the data of all others. */
  #mark(memory: ArrayBufferLike): void {
    if (memory === this.#marked) return;
    this.#marked = memory;
    markAsUntransferable(memory);
  }
}
