import { FIELDS } from "./record-template.ts";

export const MOST_DIGITS = 129;
/** Of a longer part of a text, V8 makes a reference to the whole. */
const SHORT_TEXT = 12;
/** So many records' texts are made together: who keeps a sequence number keeps those of the others. */
const TOGETHER = 8;
/** Where a record's key is among its fields. */
const KEY = 4;
const WORD = 4;

/** Used from a call's beginning to its end. */
const scratch: Buffer = Buffer.allocUnsafeSlow(TOGETHER * (MOST_DIGITS + SHORT_TEXT) + WORD);
const scratchView = new DataView(scratch.buffer);

/**
 * The sequence numbers and partition keys of a page. To make a text of bytes takes a call into Node, which costs
 * as much as the record's other objects: sequence numbers and short keys of some records are made as one
 * text, of which each is a part.
 */
export class RecordTexts {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #spans: Int32Array;
  /** The records whose texts were made last. */
  #from = 0;
  #to = 0;
  #text = "";
  /** Of each of them: where in the text its sequence number ends, and where its key does. */
  readonly #ends = new Uint16Array(2 * TOGETHER);

  /** @param spans the fields of all records. Sequence numbers are digits, `MOST_DIGITS` at most */
  constructor(bytes: Buffer, spans: Int32Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#spans = spans;
  }

  sequenceNumber(index: number): string {
    const at = this.#find(index);
    return this.#text.slice(at === 0 ? 0 : this.#ends[at - 1], this.#ends[at]);
  }

  /** The record has a key. */
  partitionKey(index: number): string {
    const at = this.#find(index);
    const start = this.#ends[at]!;
    const end = this.#ends[at + 1]!;
    if (start < end) return this.#text.slice(start, end);
    const field = index * FIELDS + KEY;
    return this.#bytes.toString("utf8", this.#spans[field], this.#spans[field + 1]);
  }

  /** Where the record's ends are. */
  #find(index: number): number {
    if (index < this.#from || index >= this.#to) this.#make(index);
    return 2 * (index - this.#from);
  }

  #make(from: number): void {
    const spans = this.#spans;
    const ends = this.#ends;
    const to = Math.min(from + TOGETHER, spans.length / FIELDS);
    let length = 0;
    for (let index = from; index < to; index += 1) {
      const field = index * FIELDS;
      const at = 2 * (index - from);
      length = this.#copy(spans[field]!, spans[field + 1]!, length);
      ends[at] = length;
      const start = spans[field + KEY]!;
      const end = spans[field + KEY + 1]!;
      const isShort = end - start <= SHORT_TEXT && this.#isAscii(start, end);
      if (isShort) length = this.#copy(start, end, length);
      ends[at + 1] = length;
    }
    this.#text = scratch.toString("latin1", 0, length);
    this.#from = from;
    this.#to = to;
  }

  /** In words: up to three bytes too many, which are overwritten. @returns where the copy ends */
  #copy(start: number, end: number, to: number): number {
    const view = this.#view;
    const shift = to - start;
    const wholeWords = Math.min(end, view.byteLength - WORD + 1);
    let at = start;
    for (; at < wholeWords; at += WORD) scratchView.setInt32(at + shift, view.getInt32(at));
    for (; at < end; at += 1) scratch[at + shift] = this.#bytes[at]!;
    return end + shift;
  }

  #isAscii(start: number, end: number): boolean {
    for (let at = start; at < end; at += 1) if (this.#bytes[at]! > 127) return false;
    return true;
  }
}
