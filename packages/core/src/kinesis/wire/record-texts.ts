import { FIELDS } from "./record-template.ts";

export const MAX_DIGITS = 129;
/** A longer substring is a reference to its parent string in V8. */
const SHORT_TEXT = 12;
/**
 * The number of records that are decoded together. Their sequence numbers share the parent string's memory: to
 * keep one is to keep all.
 */
const BATCH = 8;
/** The index of the partition key among a record's fields. */
const KEY = 4;
const WORD = 4;

/** Shared by all pages: it is in use only during a call. */
const scratch: Buffer = Buffer.allocUnsafeSlow(BATCH * (MAX_DIGITS + SHORT_TEXT) + WORD);
const scratchView = new DataView(scratch.buffer);

/**
 * Decodes the sequence numbers and partition keys of a page. Decoding takes a call into Node, which costs as much
 * as the record's other objects. Therefore the sequence numbers and short keys of several records are decoded as
 * one string, and each is a substring of it.
 */
export class RecordTexts {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #spans: Int32Array;
  /** The records in the current batch: from `#from`, up to but not including `#to`. */
  #from = 0;
  #to = 0;
  #text = "";
  /** For each record in the batch: where its sequence number ends in `#text`, and where its key ends. */
  readonly #ends = new Uint16Array(2 * BATCH);

  /** @param spans the fields of all records. Sequence numbers consist of at most `MAX_DIGITS` digits */
  constructor(bytes: Buffer, spans: Int32Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#spans = spans;
  }

  sequenceNumber(index: number): string {
    const at = this.#find(index);
    return this.#text.slice(at === 0 ? 0 : this.#ends[at - 1], this.#ends[at]);
  }

  /** The caller ensures that the record has a key. */
  partitionKey(index: number): string {
    const at = this.#find(index);
    const start = this.#ends[at]!;
    const end = this.#ends[at + 1]!;
    if (start < end) return this.#text.slice(start, end);
    const field = index * FIELDS + KEY;
    return this.#bytes.toString("utf8", this.#spans[field], this.#spans[field + 1]);
  }

  /** Returns the index of the record's ends in `#ends`. Decodes its batch if needed. */
  #find(index: number): number {
    if (index < this.#from || index >= this.#to) this.#decode(index);
    return 2 * (index - this.#from);
  }

  #decode(from: number): void {
    const spans = this.#spans;
    const ends = this.#ends;
    const to = Math.min(from + BATCH, spans.length / FIELDS);
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

  /** Copies word by word, so up to three bytes too many, which are overwritten later. @returns the end of the copy */
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
